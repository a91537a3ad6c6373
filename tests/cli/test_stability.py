"""The command `stability`: which genes other halves of the cells would have chosen."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cases.commands import assert_one_message

import smash_gpu as smg

TABLES = {"stability": smg.get.stability, "substitutes": smg.get.substitutes}
SMALL = ("--n-genes", 4, "--n-resamples", 2)

pytestmark = pytest.mark.usefixtures("few_trees")


@pytest.fixture
def run(run, data):
    return lambda *options: run("stability", data, "--groupby", "cell_type", *options)


def assert_equal_tables(folder, adata):
    for name, table in TABLES.items():
        pd.testing.assert_frame_equal(pd.read_csv(folder / f"{name}.csv"), table(adata), rtol=1e-6, check_dtype=False)


@pytest.mark.slow
def test_the_tables_are_those_of_the_package(run, adata, tmp_path):
    code, out, error = run(*SMALL, "--near-highest", 0, "--random-state", 3, "--out", tmp_path / "out")
    assert code == 0, error
    smg.tl.smash(adata, "cell_type", near_highest=0, random_state=3)
    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=2, random_state=3)
    assert_equal_tables(tmp_path / "out", adata)
    shared = smg.get.panel_overlap(adata).loc["shared", "mean"]
    assert f"Panels from two halves of the cells share {shared:.1f} of 4 genes" in out
    params = json.loads((tmp_path / "out" / "params.json").read_text())
    assert params["stability"]["n_resamples"] == 2 and params["ranking"]["near_highest"] == 0


def test_the_panel_design_is_repeated_too(run, adata, tmp_path):
    code, out, error = run(*SMALL, "--panel", "--sample-key", "sample", "--out", tmp_path / "out")
    assert code == 0, error

    def design(cells, n_genes):
        smg.tl.panel(cells, "cell_type", n_genes=n_genes, nested=True, sample_key="sample")
        return smg.get.panel(cells)

    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=2, choose=design, sample_key="sample")
    assert_equal_tables(tmp_path / "out", adata)
    assert "Panels from two halves of the samples share" in out


def test_too_few_samples_are_said_before_any_work(run, adata, data, monkeypatch):
    adata.obs["sample"] = [f"donor{i % 3}" for i in range(adata.n_obs)]
    adata.write_h5ad(data)
    monkeypatch.setattr(smg.tl, "smash", None)
    assert_one_message(run("--sample-key", "sample"), "there are 3 samples; halves need at least 4. Omit --sample-key")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--n-resamples", 3), ("--n-resamples 3", "even")),
        (("--n-genes", 0), ("--n-genes 0",)),
        (("--panel", "--model", "rf"), ("--panel", "no --model")),
        (("--panel", "--max-cells", 100), ("--panel", "no --max-cells")),
        (("--max-transcripts", 40), ("--max-transcripts is for the panel design; add --panel",)),
        (("--n-substitutes", -1), ("--n-substitutes -1",)),
    ],
    ids=["an odd number of halves", "no genes", "a design by a model", "cells of a model", "limits", "substitutes"],
)
def test_what_cannot_be_repeated_is_refused_before_any_work(run, data, options, words):
    data.unlink()
    assert_one_message(run(*options), *words)
