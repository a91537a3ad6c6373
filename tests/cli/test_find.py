"""The command `find`: what it prints and writes, and the options that reach the selection."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from cases.commands import MARKERS, PNG, assert_one_message, changed, find, written
from cells import PLANTED
from scipy import sparse

import smash_gpu as smg


def test_find_prints_the_ledger_the_accuracy_and_the_markers_of_every_group(run, data):
    code, out, _ = find(run, data, "--n-top", PLANTED)
    assert code == 0
    assert "240 cells × 60 genes" in out
    assert "mitochondrial genes" in out
    assert "small loadings (inverse PCA" not in out
    assert "Model rf: 100.0% of the held-out cells are predicted right" in out
    for number, group in enumerate(("A", "B / b", "CD4+ T")):
        line = next(line for line in out.splitlines() if line.startswith(f"  {group} "))
        genes = [gene.strip() for gene in line.removeprefix(f"  {group} ").split(",")]
        assert set(genes) == {gene for gene in MARKERS if gene.startswith(f"MARKER{number}")}


def test_find_without_a_folder_writes_nothing(run, data):
    before = sorted(data.parent.iterdir()), data.read_bytes()
    assert find(run, data)[0] == 0
    assert (sorted(data.parent.iterdir()), data.read_bytes()) == before


@pytest.mark.slow
def test_find_writes_what_the_package_returns(run, data, adata, tmp_path):
    folder = tmp_path / "a" / "b"
    code, out, _ = find(run, data, "--out", folder, "--n-genes", 12, "--random-state", 3, "--sample-key", "sample")
    assert code == 0
    smg.tl.smash(adata, "cell_type", random_state=3, sample_key="sample")
    names = {"markers.csv", "marker_panel.csv", "filters.csv", "params.json", "markers.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(name in out for name in names)
    expected = smg.get.markers(adata).astype({"group": str, "score": float})
    pd.testing.assert_frame_equal(pd.read_csv(folder / "markers.csv"), expected, rtol=1e-6)
    panel = pd.read_csv(folder / "marker_panel.csv")
    assert panel["name"].tolist() == smg.get.marker_panel(adata, 12)
    assert panel["rank"].tolist() == list(range(1, 13))
    pd.testing.assert_frame_equal(pd.read_csv(folder / "filters.csv"), adata.uns["smash"]["filters"])
    params = json.loads((folder / "params.json").read_text())
    assert (params["source"]["groupby"], params["source"]["sample_key"]) == ("cell_type", "sample")
    assert (params["importance"]["model"], params["importance"]["random_state"]) == ("rf", 3)
    assert params["versions"]["smash-gpu"] == smg.__version__
    assert (folder / "markers.png").read_bytes().startswith(PNG)


def test_a_panel_is_never_larger_than_the_genes_with_a_score(run, data, tmp_path):
    assert find(run, data, "--out", tmp_path / "out", "--n-genes", 1000)[0] == 0
    panel = pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"]
    assert panel.is_unique
    assert 9 <= len(panel) <= 60


def test_genes_to_exclude_and_to_keep_are_read_from_files(run, data, tmp_path):
    def name_general_genes(adata):
        adata.var_names = ["RPL3", "MT-CO1", *adata.var_names[2:]]

    changed(data, name_general_genes)
    excluded = written(tmp_path / "out.txt", "MARKER1X", "MARKER1Y")
    kept = written(tmp_path / "in.txt", "RPL3")
    code, out, _ = find(run, data, "--exclude", excluded, "--keep", kept, "--out", tmp_path / "out", "--n-genes", 99)
    assert code == 0
    filters = pd.read_csv(tmp_path / "out" / "filters.csv", index_col="rule")
    assert filters.loc["excluded by the user"].tolist() == [2, 2, 58]
    assert filters.loc["ribosomal genes"].tolist() == [1, 0, 57]
    panel = set(pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"])
    assert not panel & {"MARKER1X", "MARKER1Y", "MT-CO1"}
    assert "RPL3" in panel
    assert "MARKER1X" not in out


@pytest.mark.slow
def test_two_runs_print_and_write_the_same(run, data, tmp_path):
    first, second = (find(run, data, "--out", tmp_path / "out") for _ in range(2))
    assert first == second


def test_within_gives_markers_inside_each_broad_group(run, data, tmp_path):
    def broad(adata):
        adata.obs["broad"] = np.where(adata.obs["cell_type"] == "A", "alone", "both")

    changed(data, broad)
    code, out, error = find(run, data, "--within", "broad", "--out", tmp_path / "out", "--n-top", 2)
    assert code == 0
    assert "alone" in error
    assert set(pd.read_csv(tmp_path / "out" / "markers.csv")["group"]) == {"both / B / b", "both / CD4+ T"}
    assert "  both / CD4+ T " in out


@pytest.mark.slow
def test_options_of_find_reach_the_selection(run, data, tmp_path):
    options = ("--n-top", 4, "--unique", "--positive-only", "--n-models", 2, "--species", "mouse", "--inverse-pca")
    assert find(run, data, *options, "--min-cells", 5, "--out", tmp_path / "out")[0] == 0
    params = json.loads((tmp_path / "out" / "params.json").read_text())
    assert params["ranking"] | {"n_top": 4, "unique": True, "positive_only": True} == params["ranking"]
    assert params["importance"]["n_models"] == 2
    assert params["filters"]["species"] == "mouse"
    assert params["source"]["min_cells"] == 5
    assert params["inverse_pca"] == {"n_top": 20, "variance": 0.8, "keep": []}
    assert params["filters"]["max_fraction"] is None


def test_the_papers_setting_is_one_option(run, data, tmp_path):
    assert find(run, data, "--paper", "--out", tmp_path / "out", "--no-figures")[0] == 0
    params = json.loads((tmp_path / "out" / "params.json").read_text())
    assert params["filters"]["max_fraction"] == 0.75
    assert params["inverse_pca"]["variance"] == 0.8
    assert "of ≥ 50% of the classes" in (tmp_path / "out" / "filters.csv").read_text()


@pytest.mark.slow
def test_layers_raw_symbols_and_logged_values_are_read(run, data, adata, tmp_path):
    def elsewhere(adata):
        counts = adata.X.toarray()
        adata.var["symbol"] = adata.var_names
        adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
        adata.raw = adata
        adata.layers["counts"] = adata.X
        adata.layers["logged"] = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)))
        adata.X = counts - counts.mean(axis=0)

    changed(data, elsewhere)
    panels = []
    for source in (("--layer", "counts"), ("--use-raw",), ("--layer", "logged", "--normalized")):
        options = ("--gene-symbols", "symbol", "--exclude", written(tmp_path / "x.txt", "MARKER0X"), "--n-genes", 8)
        code, _, error = find(run, data, *source, *options, "--out", tmp_path / "out")
        assert code == 0, error
        panels.append(pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"].tolist())
    assert panels[0] == panels[1] == panels[2]
    assert "ENSG00000000000" not in panels[0]
    assert_one_message(find(run, data, "--gene-symbols", "symbol"), "negative", "--use-raw")


def test_notes_of_what_was_left_out_go_to_standard_error(run, data):
    def leave_some_out(adata):
        adata.obs["cell_type"] = ["few", None, *adata.obs["cell_type"].astype(str)[2:]]

    changed(data, leave_some_out)
    code, out, error = find(run, data, "--min-cells", 2)
    assert code == 0
    assert "note: 1 of 240 cells have no label" in error
    assert "few (1)" in error
    assert "note:" not in out


def test_zarr_stores_are_read_as_well(run, adata, tmp_path):
    adata.write_zarr(tmp_path / "cells.zarr")
    code, out, error = find(run, tmp_path / "cells.zarr", "--n-top", 1)
    assert code == 0, error
    assert "MARKER0" in out
