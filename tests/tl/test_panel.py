"""tl.panel: its slots and tables."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import smash_gpu as smg
from smash_gpu.annotated import slots

TABLES = ("genes", "pairs", "purposes", "curve", "rules", "caps", "certificate")


def test_the_panel_is_in_its_slots(designed):
    genes = smg.get.panel(designed)
    assert len(set(genes)) == 12
    assert genes[0] == "NOISE30"
    assert designed.var_names[designed.var["smash_panel"]].isin(genes).all()
    assert designed.var["smash_panel"].sum() == 12
    table = smg.get.panel_table(designed)
    assert table["rank"].tolist() == list(range(1, 13))
    assert not set(table["substitute"]) & set(genes)
    assert (table["loss_with_substitute"] <= table["loss"] + 1e-12).all()
    assert len(smg.get.panel_table(designed, "pairs")) == 3 + 6


@pytest.mark.parametrize("write", ["h5ad", "zarr"])
def test_everything_survives_a_file(designed, tmp_path, write):
    path = tmp_path / f"x.{write}"
    getattr(designed, f"write_{write}")(path)
    back = ad.read_h5ad(path) if write == "h5ad" else ad.read_zarr(path)
    assert smg.get.panel(back) == smg.get.panel(designed)
    for table in TABLES:
        before, after = (smg.get.panel_table(a, table) for a in (designed, back))
        pd.testing.assert_frame_equal(before, after, check_dtype=False, check_categorical=False, check_index_type=False)


def test_what_was_asked_is_noted(designed):
    noted = slots.recorded(designed, "smash_panel", "panel")
    assert noted["groupby"] == ("cell_type = 1.0", "fine = 1.0")
    assert noted["pair_weights"] == ("A | CD4+ T = 2.0",)
    assert noted["tau"] == pytest.approx(3.6)


def test_the_list_can_be_judged(designed):
    smg.tl.evaluate(designed, "cell_type", genes=smg.get.panel(designed))
    assert smg.get.evaluation(designed).loc["misclassification", "mean"] < 0.05


def test_a_mask_of_the_filters_is_obeyed(adata):
    adata.var["good"] = ~adata.var_names.str.startswith("MARKER0")
    smg.tl.panel(adata, "cell_type", n_genes=10, mask_var="good")
    assert not any(name.startswith("MARKER0") for name in smg.get.panel(adata))
    with pytest.raises(KeyError, match="no column 'bad'"):
        smg.tl.panel(adata, "cell_type", n_genes=10, mask_var="bad")


def test_broken_promises_are_a_warning_with_a_table(adata):
    with pytest.warns(UserWarning, match="fewer markers than promised"):
        smg.tl.panel(adata, "cell_type", n_genes=20, min_markers=19)
    assert len(smg.get.panel_table(adata, "certificate")) == 3


def test_a_cell_of_the_second_column_needs_a_sample_too(two_columns):
    two_columns.obs["cell_type"] = two_columns.obs["cell_type"].astype(object)
    two_columns.obs.iloc[0, two_columns.obs.columns.get_loc("cell_type")] = np.nan
    two_columns.obs.iloc[0, two_columns.obs.columns.get_loc("sample")] = np.nan
    with pytest.raises(ValueError, match="no value in sample_key='sample'"):
        smg.tl.panel(two_columns, ["cell_type", "fine"], n_genes=5, sample_key="sample")
    smg.tl.panel(two_columns, "cell_type", n_genes=5, sample_key="sample")


def test_nothing_is_written_if_there_is_no_panel(adata):
    with pytest.raises(ValueError, match="no 20 genes fit"):
        smg.tl.panel(adata, "cell_type", n_genes=20, max_transcripts=1.0)
    assert "smash_panel" not in adata.uns


def test_an_unknown_option_or_table_is_named(adata):
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_transcript'"):
        smg.tl.panel(adata, "cell_type", max_transcript=3)
    with pytest.raises(KeyError, match="run tl.panel"):
        smg.get.panel_table(adata)
    smg.tl.panel(adata, "cell_type", n_genes=3)
    with pytest.raises(KeyError, match="tables are genes, pairs"):
        smg.get.panel_table(adata, "pears")


def test_plots_return_axes(designed):
    assert smg.pl.panel_curve(designed).get_xlabel() == "number of genes"
    labels = [t.get_text() for t in smg.pl.panel_pairs(designed, column="fine").get_yticklabels()]
    assert len(labels) == 6
    assert "A  ↔  A/2" in labels
    assert len(smg.pl.panel_resolution(designed).get_xticklabels()) == 3
    with pytest.raises(KeyError, match="not chosen for the column 'coarse'"):
        smg.pl.panel_resolution(designed, column="coarse")
