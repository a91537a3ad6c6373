"""``smash-gpu export``: what ``panel --out`` wrote, in the forms of vendors."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cases.commands import assert_one_message, written
from cases.vendors import FILES

import smash_gpu as smg

FORMATS = {"xenium": "csv", "merscope": "csv", "cosmx": "csv", "json": "json", "sheet": "csv"}


@pytest.mark.slow
def test_the_command_writes_every_form_from_what_panel_wrote(run, data, tmp_path):
    out = tmp_path / "out"
    printed = written(tmp_path / "gene_panel.json", *FILES["gene_panel.json"])
    ids = written(tmp_path / "ids.csv", "symbol,gene_id", *(f"NOISE{i},ENSG{i:011}" for i in range(9, 40)))
    code, _, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 4, "--extend", printed,
                         "--ensembl-table", ids, "--no-figures", "--out", out)  # fmt: skip
    assert code == 0, error
    for name, suffix in FORMATS.items():
        path = tmp_path / f"{name}.{suffix}"
        code, said, error = run("export", out / "panel.h5ad", "--format", name, "--out", path, "--ensembl-table", ids)
        assert code == 0, error
        assert f"4 genes in the form of {name}" in said
        assert "are of other data" not in error
    same = {"xenium.csv": "xenium.csv", "merscope.csv": "merscope.csv", "sheet.csv": "design_sheet.csv"}
    assert all((tmp_path / a).read_bytes() == (out / b).read_bytes() for a, b in same.items())
    asked = ("--format", "json", "--out", tmp_path / "gene_panel.json", "--ensembl-table", ids)
    run("export", out / "panel.h5ad", *asked)
    assert (tmp_path / "gene_panel.json").read_bytes() == (out / "gene_panel.json").read_bytes()


@pytest.mark.slow
def test_the_command_refuses_what_a_form_does_not_have(run, adata, tmp_path):
    adata.var["gene_ids"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    adata.var["sets"] = 3
    smg.tl.panel(adata, "cell_type", n_genes=4, include=["NOISE9"])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    asked = ("export", tmp_path / "cells.h5ad", "--out", tmp_path / "x.csv", "--format")
    assert_one_message(run(*asked, "cosmx", "--probe-sets-key", "sets"), "--format cosmx has no probe sets")
    assert_one_message(run(*asked, "json", "--forced", tmp_path / "f"), "--format json has no forced genes")
    assert_one_message(run(*asked, "xenium", "--probe-sets-key", "set"), "'set'", "sets")
    forced = written(tmp_path / "forced", "NOISE9")
    code, out, _ = run(*asked, "xenium", "--probe-sets-key", "sets", "--forced", forced, "--json")
    assert code == 0
    assert json.loads(out)["genes"] == smg.get.panel(adata)
    assert pd.read_csv(tmp_path / "x.csv").set_index("Gene")["Force"]["NOISE9"] == "forced"


def test_a_file_without_a_panel_is_answered(run, data, tmp_path):
    result = run("export", data, "--format", "sheet", "--out", tmp_path / "x.csv")
    assert_one_message(result, "tl.panel")
