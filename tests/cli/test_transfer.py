"""``smash-gpu transfer``: the numbers of `tl.transfer`, in a table, in files, as one object."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from cases.commands import MARKERS, PNG, assert_one_message, written
from cells import planted

import smash_gpu as smg


@pytest.fixture
def tissue(tmp_path):
    made = planted(np.random.default_rng(5), n_cells=90)
    made.obs["label"] = made.obs["cell_type"].astype(str).replace({"A": "a"})
    made.obsm["spatial"] = np.random.default_rng(0).random((90, 2))
    made.write_h5ad(tmp_path / "tissue.h5ad")
    return tmp_path / "tissue.h5ad"


@pytest.fixture
def transfer(run, data, tissue, tmp_path):
    def call(*options):
        listed = written(tmp_path / "mine.txt", *MARKERS[:4])
        return run("transfer", tissue, "--reference", data, "--groupby", "cell_type", "--genes", listed, *options)

    return call


def test_it_says_what_the_function_says(transfer, tissue, data, tmp_path):
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"a": "A"}))
    options = ("--tissue-groupby", "label", "--tissue-mapping", mapping, "--n-random", 2, "--out", tmp_path / "out")
    code, out, _ = transfer(*options, "--json")
    assert code == 0
    cells = smg.read(tissue).to_memory()
    smg.tl.transfer(
        smg.read(data), cells, "cell_type", genes={"mine": MARKERS[:4]}, tissue_groupby="label",
        tissue_mapping={"a": "A"}, n_random=2,
    )  # fmt: skip
    expected = smg.get.transfer(cells)
    row = json.loads(out)["metrics"][0]
    for name in ("balanced_accuracy", "random", "ceiling"):
        assert row[name] == pytest.approx(expected[name].item())
    labels = pd.read_csv(tmp_path / "out" / "cells.csv", index_col=0)["predicted"]
    assert labels.tolist() == cells.obs["smash_transfer"].astype(str).tolist()
    assert (tmp_path / "out" / "map_error.png").read_bytes().startswith(PNG)
    assert "all measured genes" in (tmp_path / "out" / "transfer.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "params.json").read_text())["transfer"]["tissue_groupby"] == "label"


def test_a_selection_is_made_on_the_reference(transfer):
    code, out, _ = transfer("--select", "panel", "--n-genes", 3, "--n-random", 1)
    assert code == 0 and "selection by panel" in out and "ceiling" in out


def test_wrong_input_is_one_message(transfer, tmp_path):
    wrong = tmp_path / "mapping.json"
    wrong.write_text("[1]")
    assert_one_message(transfer("--mapping", wrong), "--mapping", "one object")
    wrong.write_text('{"Z": "A"}')
    assert_one_message(transfer("--mapping", wrong), "'Z' is not a label")
