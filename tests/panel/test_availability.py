"""Genes that cannot be ordered, and numbers of genes from tables by name, symbol or Ensembl id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.commands import MARKERS, written

import smash_gpu as smg
from smash_gpu.genes.lists import GeneNames
from smash_gpu.genes.tables import Gene
from smash_gpu.genes.values import of_genes, per_gene


@pytest.fixture
def with_ids(adata):
    """Names are ids, and symbols are in a column."""
    adata.var["symbol"] = adata.var_names
    adata.var_names = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    return adata


def chosen(adata, **options):
    smg.tl.panel(adata, "cell_type", gene_symbols="symbol" if "symbol" in adata.var else None, **options)
    return set(smg.get.panel_table(adata)["symbol"])


def removed(adata):
    rules = smg.get.panel_table(adata, "rules")
    return dict(zip(rules["rule"], rules["removed"], strict=True))


def test_genes_without_probes_are_not_in_and_have_a_rule_of_their_own(with_ids, tmp_path):
    first = written(tmp_path / "a.csv", "gene_id,gene_name", "ENSG00000000000,MARKER0X", "ENSG99999999999,NOWHERE")
    second = written(tmp_path / "b.txt", "MARKER1X")
    assert {"MARKER0X", "MARKER1X"} <= chosen(with_ids, n_genes=9)
    assert not {"MARKER0X", "MARKER1X"} & chosen(with_ids, n_genes=9, unavailable=[first, second])
    assert removed(with_ids)["no probes available"] == 2


@pytest.mark.parametrize("how", ["mapping", "series", "table", "file", "column"])
def test_genes_with_off_target_probes_are_not_in(with_ids, tmp_path, how):
    sites = {"MARKER0X": 2, "MARKER1X": 5, "ENSG00000000008": 1, "MARKER1Y": 0, "NOWHERE": 9}
    table = pd.DataFrame({"gene": sites.keys(), "transcript": "t", "off_targets": sites.values()})
    table.to_csv(tmp_path / "t.csv", index=False)
    with_ids.var["sites"] = with_ids.var["symbol"].map(sites | {MARKERS[8]: 1})
    given = {"mapping": sites, "series": pd.Series(sites), "table": table, "file": tmp_path / "t.csv"}.get(how, "sites")
    eighth = with_ids.var["symbol"]["ENSG00000000008"]
    assert set(MARKERS) - chosen(with_ids, n_genes=9, off_target=given) == {"MARKER0X", "MARKER1X", eighth}
    assert removed(with_ids)["off-target > 0"] == 3
    assert set(MARKERS) - chosen(with_ids, n_genes=9, off_target=given, max_off_target=2) == {"MARKER1X"}


def test_a_gene_that_must_be_in_and_cannot_be_ordered_is_an_error(adata):
    for options in ({"unavailable": ["NOISE9"]}, {"off_target": {"NOISE9": 1}}):
        with pytest.raises(ValueError, match=r"include or priorities ask for genes that a rule forbids .*: NOISE9"):
            smg.tl.panel(adata, "cell_type", n_genes=3, include=["NOISE9"], **options)


@pytest.mark.parametrize("as_given", [dict, pd.Series, lambda w: pd.DataFrame({"symbol": w.keys(), "w": w.values()})])
def test_weights_are_found_by_symbol_or_id_and_count_as_a_column_does(with_ids, as_given):
    weights = {"MARKER0X": 9.0, "ENSG00000000030": 2000.0}
    with_ids.var["weight"] = 1.0
    with_ids.var.loc[with_ids.var["symbol"] == "MARKER0X", "weight"] = 9.0
    with_ids.var.loc["ENSG00000000030", "weight"] = 2000.0
    by_column = chosen(with_ids, n_genes=4, weight_key="weight")
    assert chosen(with_ids, n_genes=4, weight_key=as_given(weights)) == by_column != chosen(with_ids, n_genes=4)
    with pytest.raises(ValueError, match="the table weight_key has weights of 0 or less"):
        chosen(with_ids, n_genes=4, weight_key={"MARKER0X": 0})


def test_costs_may_be_a_mapping(adata):
    prices = {name: 1 + i % 3 for i, name in enumerate(adata.var_names)}
    adata.var["price"] = pd.Series(prices)
    assert chosen(adata, n_genes=5, cost_key=prices, budget=7) == chosen(adata, n_genes=5, cost_key="price", budget=7)
    with pytest.raises(ValueError, match="the table cost_key has missing or negative costs"):
        chosen(adata, n_genes=5, cost_key={"MARKER0X": 1}, budget=7)


@pytest.mark.parametrize("as_file", [False, True])
def test_columns_of_a_gene_table_count_as_columns_of_var(with_ids, tmp_path, as_file):
    probes = np.arange(with_ids.n_vars) % 9
    table = pd.DataFrame({"gene": with_ids.var["symbol"].to_numpy(), "probes": probes, "fits": probes != 7})
    expected = with_ids.copy()
    expected.var[["probes", "fits"]] = table[["probes", "fits"]].to_numpy()
    asked = {"n_genes": 6, "limits": {"probes": (5, None)}, "mask_var": "fits"}
    table.to_csv(tmp_path / "table.csv", index=False)
    before = list(with_ids.var)
    given = tmp_path / "table.csv" if as_file else table.sample(frac=1, random_state=7)
    found = chosen(with_ids, gene_table=given, **asked)
    assert found == chosen(expected, **asked) != chosen(expected, n_genes=6)
    assert set(with_ids.var) - {"smash_panel"} == set(before)


def test_a_gene_table_without_a_gene_of_the_data_is_refused(adata):
    with pytest.raises(ValueError, match=r"gene_table: none of its genes \(NOWHERE\) is in the data"):
        smg.tl.panel(adata, "cell_type", n_genes=3, gene_table=pd.DataFrame({"gene": ["NOWHERE"], "n": [3]}))


def test_the_options_of_tables_are_stored(adata, tmp_path):
    smg.tl.panel(adata, "cell_type", n_genes=3, off_target={"MARKER0X": 3}, weight_key={"NOISE9": 2})
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = smg.read(tmp_path / "cells.h5ad")
    for params in (one.uns["smash_panel"]["params"] for one in (adata, again)):
        assert "MARKER0X = 3.0" in str(params) and "NOISE9 = 2.0" in str(params)


def test_the_largest_of_several_rows_counts_and_two_genes_of_one_name_stay_apart():
    table = pd.DataFrame({"gene": ["A", "A", "B", "B"], "gene_id": ["E1", "E1", "E2", "E3"], "n": [1, 4, 2, 3]})
    found = per_gene(table, "t")
    assert found == {"A": 4, "B": 2, "E3": 3}
    known = GeneNames(np.array(["x", "y"], object), np.array(["B", "B"], object), np.array(["E2", "E3"], object))
    assert of_genes(known, {Gene("B", "E2"): 2, Gene("E3", "E3"): 3}, "t", missing="ignore").tolist() == [2, 3]


def test_what_holds_no_numbers_is_refused(tmp_path):
    with pytest.raises(ValueError, match="t: the table has no column of numbers beside the genes"):
        per_gene(pd.DataFrame({"gene": ["A"], "kind": ["x"]}), "t")
    with pytest.raises(TypeError, match="t=3 is none of"):
        per_gene(3, "t")
    known = GeneNames(np.array(["x"], object), np.array(["x"], object))
    with pytest.raises(ValueError, match="t: none of its genes is in the data .* 'A'"):
        of_genes(known, per_gene({"A": 1}, "t"), "t", missing="ignore")
