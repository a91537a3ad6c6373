"""tl.panel: its slots and tables."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import SLOW_ZARR

import smash_gpu as smg
from smash_gpu.annotated import slots

TABLES = ("genes", "pairs", "purposes", "curve", "rules", "caps", "certificate", "slide")


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
    assert len(smg.get.panel_table(designed, "pairs")) == 3 + 5


@pytest.mark.parametrize("write", ["h5ad", SLOW_ZARR])
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


@pytest.fixture
def families(adata):
    """Nine markers, two of each family but one, the best genes there are."""
    names = ["MT-CO1", "MT-ND3", "RPL3", "RPS4X", "HSPA1A", "HSPB1", "ACTB", "B2M", "HLA-DRA"]
    adata.var_names = [*names, *adata.var_names[9:]]
    return adata


def test_four_families_are_left_out_by_default_and_the_rules_name_them(families):
    smg.tl.panel(families, "cell_type", n_genes=12)
    assert "HLA-DRA" in smg.get.panel(families)
    assert not set(smg.get.panel(families)) & set(families.var_names[:8])
    rules = smg.get.panel_table(families, "rules").set_index("rule")
    expected = ["mitochondrial genes", "ribosomal genes", "heat shock genes", "housekeeping genes"]
    assert rules["removed"].to_dict() == dict.fromkeys(expected, 2)
    noted = slots.recorded(families, "smash_panel", "panel")
    assert noted["exclude_families"] == ("mitochondrial", "ribosomal", "heat_shock", "housekeeping")


def test_families_are_in_on_request_and_mhc_is_out_on_request(families):
    smg.tl.panel(families, "cell_type", n_genes=12, exclude_families=())
    assert set(families.var_names[:9]) <= set(smg.get.panel(families))
    assert len(smg.get.panel_table(families, "rules")) == 0
    smg.tl.panel(families, "cell_type", n_genes=12, exclude_families=["hla", "ribosomal"], include=["RPL3"])
    assert set(families.var_names[:9]) - set(smg.get.panel(families)) == {"HLA-DRA", "RPS4X"}
    with pytest.raises(ValueError, match=r"exclude_families=\['mhc'\] are unknown; choose from mitochondrial"):
        smg.tl.panel(families, "cell_type", exclude_families=["mhc"])


def test_families_are_found_in_the_column_of_symbols(families):
    families.var["symbol"] = families.var_names
    families.var_names = [f"ENSG{i:011}" for i in range(families.n_vars)]
    smg.tl.panel(families, "cell_type", n_genes=12, gene_symbols="symbol")
    assert not set(smg.get.panel_table(families)["symbol"]) & set(families.var["symbol"][:8])


def test_a_family_that_leaves_too_few_genes_is_named(families):
    with pytest.raises(smg.errors.InfeasibleError, match="ribosomal genes: without this rule, 54 genes") as caught:
        smg.tl.panel(families, "cell_type", n_genes=53)
    assert "not in mask_var" not in str(caught.value)


def test_a_wanted_gene_that_a_rule_removes_is_named(families):
    with pytest.warns(UserWarning, match=r"a rule leaves out wanted genes: RPL3 \(ribosomal genes\)"):
        smg.tl.panel(families, "cell_type", n_genes=12, priorities={"RPL3": "wanted", "NOISE30": "wanted"})


def test_broken_promises_are_a_warning_with_a_table(adata):
    with pytest.warns(UserWarning, match="fewer markers than promised"):
        smg.tl.panel(adata, "cell_type", n_genes=20, min_markers=19)
    assert len(smg.get.panel_table(adata, "certificate")) == 3


def test_what_to_know_before_ordering_is_a_warning(adata):
    counts = adata.X.toarray()
    counts[:, 0] *= 100
    adata.X = counts
    with pytest.warns(UserWarning, match=r"1 gene of the panel has more than 100 counts .* MARKER0X"):
        smg.tl.panel(adata, "cell_type", n_genes=12)
    with pytest.warns(UserWarning, match="the caps leave a panel that resolves"):
        smg.tl.panel(adata, "cell_type", n_genes=3, max_counts=(None, 1.0))


@pytest.mark.parametrize("column", [0, 1])
def test_a_class_of_one_cell_is_left_out_with_a_warning(two_columns, column):
    columns = ["cell_type", "fine"]
    labels = two_columns.obs[columns[column]].astype(object)
    labels.iloc[7] = "lonely"
    two_columns.obs[columns[column]] = labels
    with pytest.warns(UserWarning, match=r"classes with fewer than 2 cells are left out: lonely \(1\)"):
        smg.tl.panel(two_columns, columns, n_genes=5)
    pairs = smg.get.panel_table(two_columns, "pairs")
    assert "lonely" not in set(pairs["class_a"]) | set(pairs["class_b"])
    assert len(smg.get.panel(two_columns)) == 5
    assert slots.recorded(two_columns, "smash_panel", "panel")["min_cells"] is None


def test_classes_of_one_cell_only_are_an_error_that_names_them(adata):
    adata.obs["each"] = adata.obs_names
    with pytest.raises(ValueError, match="has too few classes with enough cells: 0"):
        smg.tl.panel(adata, "each", n_genes=5)


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
    with pytest.raises(KeyError, match="table='pears' is not one of genes, pairs"):
        smg.get.panel_table(adata, "pears")


def test_plots_return_axes(designed):
    assert smg.pl.panel_curve(designed).get_xlabel() == "number of genes"
    labels = [t.get_text() for t in smg.pl.panel_pairs(designed, column="fine").get_yticklabels()]
    assert len(labels) == 5
    assert "A  ↔  A/2" in labels
    assert len(smg.pl.panel_resolution(designed).get_xticklabels()) == 3
    with pytest.raises(KeyError, match="column='coarse' is not one of"):
        smg.pl.panel_resolution(designed, column="coarse")


def test_the_variation_has_columns_a_line_and_its_options(adata, tmp_path):
    smg.tl.panel(adata, "cell_type", n_genes=6, variation=0.3, variation_target="total")
    curve = smg.get.panel_table(adata, "curve")
    lines = smg.pl.panel_curve(adata).lines
    np.testing.assert_array_equal(lines[3].get_ydata(), curve["variation"])
    adata.write_h5ad(tmp_path / "panel.h5ad")
    again = ad.read_h5ad(tmp_path / "panel.h5ad")
    np.testing.assert_array_equal(smg.get.panel_table(again, "curve")["variation_bound"], curve["variation_bound"])
    options = again.uns["smash_panel"]["params"]["panel"]
    assert "0.3" in str(options) and "total" in str(options)
    smg.tl.panel(adata, "cell_type", n_genes=6)
    assert len(smg.pl.panel_curve(adata).lines) == 3


def test_labels_do_not_matter_where_the_variation_alone_decides(adata, rng):
    """All 60 genes are in the pool here, so that the choice sees nothing of the classes."""
    adata.obs["any"] = rng.choice(["one", "two"], adata.n_obs)
    found = []
    for column in ("cell_type", "any", None):
        smg.tl.panel(adata, column, n_genes=12, variation=1, exclude_families=())
        found.append(smg.get.panel(adata))
    assert found[0] == found[1] == found[2]
