"""The other forms of a panel: JSON, CosMx's list, and the sheet for an order."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest
from cases.commands import written
from cases.vendors import FILES, GENES, SETS

import smash_gpu as smg
from smash_gpu.genes.lists import listed

pytestmark = pytest.mark.filterwarnings("ignore:extend. 1 of 3 genes:UserWarning")


@pytest.fixture
def extended(adata, tmp_path):
    """Four genes on top of a printed panel of three, one of which the data lack; ids and probe sets are known."""
    adata.var["gene_ids"] = [f"ENSG{i:011}" for i in range(100, 100 + adata.n_vars)]
    adata.var["sets"] = np.arange(adata.n_vars) % 7 + 1
    printed = written(tmp_path / "gene_panel.json", *FILES["gene_panel.json"])
    smg.tl.panel(adata, "cell_type", n_genes=4, extend=printed, include=["NOISE9"])
    return adata


def test_json_holds_the_whole_slide_and_is_read_back(extended, tmp_path):
    path = tmp_path / "new.json"
    smg.export.gene_panel_json(extended, path, probe_sets_key="sets")
    payload = json.loads(path.read_text())["payload"]
    chosen = smg.get.panel(extended)
    assert payload["panel"] == {"identity": {"name": "new"}, "num_gene_targets": 7}
    assert [one["source"]["category"] for one in payload["targets"]] == ["base"] * 3 + ["custom"] * 4
    genes = listed(path, "extend")
    assert list(genes) == GENES + chosen
    assert [gene.probe_sets for gene in genes] == SETS + extended.var["sets"][chosen].tolist()
    in_data = [gene for gene in genes if gene != "PROBE7"]
    assert [gene.ensembl for gene in in_data] == extended.var["gene_ids"][in_data].tolist()
    assert genes[2].ensembl == "ENSG00000000002"  # of the printed panel
    smg.tl.panel(extended, "cell_type", n_genes=2, extend=path)
    assert smg.get.panel_table(extended, "slide")["name"].tolist()[:7] == GENES + chosen


def test_unknown_numbers_of_probe_sets_are_null_and_empty(extended, tmp_path):
    smg.export.gene_panel_json(extended, tmp_path / "new.json")
    covered = [
        one["info"]["gene_coverage"] for one in json.loads((tmp_path / "new.json").read_text())["payload"]["targets"]
    ]
    assert covered == [*SETS, None, None, None, None]
    smg.export.xenium(extended, tmp_path / "xenium.csv")
    assert pd.read_csv(tmp_path / "xenium.csv")["Probe sets"].isna().all()


def test_probe_sets_of_the_design_are_exported(extended, tmp_path):
    table = extended.uns["smash_panel"]["genes"]
    extended.uns["smash_panel"]["genes"] = table.assign(probe_sets=[2.0, 3.0, 4.0, 5.0])
    smg.export.xenium(extended, tmp_path / "xenium.csv")
    assert (tmp_path / "xenium.csv").read_text().count(",4,") == 1
    assert pd.read_csv(tmp_path / "xenium.csv")["Probe sets"].tolist() == [2, 3, 4, 5]
    smg.export.gene_panel_json(extended, tmp_path / "new.json")
    assert [gene.probe_sets for gene in listed(tmp_path / "new.json", "extend")][3:] == [2, 3, 4, 5]
    smg.export.xenium(extended, tmp_path / "xenium.csv", probe_sets_key="sets")
    expected = extended.var["sets"][smg.get.panel(extended)].tolist()
    assert pd.read_csv(tmp_path / "xenium.csv")["Probe sets"].tolist() == expected


def test_the_list_for_cosmx_names_the_brightest_class(extended, tmp_path):
    smg.export.cosmx(extended, tmp_path / "cosmx.csv")
    table = pd.read_csv(tmp_path / "cosmx.csv")
    assert list(table) == ["Target", "Ensembl ID", "Counts per cell", "Most counts per cell", "Class with the most"]
    assert list(listed(tmp_path / "cosmx.csv", "genes")) == smg.get.panel(extended)
    counts = pd.DataFrame(extended.X.toarray(), columns=extended.var_names)
    means = counts.groupby(extended.obs["cell_type"].to_numpy()).mean()
    for row in table.itertuples(index=False):
        assert row[4] == means[row[0]].idxmax()
        assert row[3] == pytest.approx(means[row[0]].max(), rel=6e-3)


def test_the_sheet_says_what_each_gene_is_there_for(extended, tmp_path):
    smg.export.design_sheet(extended, tmp_path / "order.csv", probe_sets_key="sets")
    sheet = pd.read_csv(tmp_path / "order.csv", keep_default_na=False).set_index("Gene")
    table = smg.get.panel_table(extended).set_index("name")
    assert sheet.index.tolist() == smg.get.panel(extended)
    assert sheet["Substitute"].tolist() == table["substitute"].tolist()
    assert sheet["Priority"]["NOISE9"] == "must"
    assert sheet["Reason"]["NOISE9"].startswith("required")
    assert sheet["Probe sets"].tolist() == extended.var["sets"][sheet.index].tolist()
    purposes = smg.get.panel_table(extended, "purposes")
    for gene, rows in purposes.groupby("name"):
        assert sheet["Pairs"][gene].count("|") == len(rows)
        assert f"{rows['class_a'].iloc[0]} | {rows['class_b'].iloc[0]}" in sheet["Reason"][gene]


def test_a_sheet_without_counts_leaves_their_columns_empty(adata, tmp_path):
    adata.X.data = np.log1p(adata.X.data)
    adata.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    smg.tl.panel(adata, "cell_type", n_genes=3, normalize=False)
    for name, write in (("order.csv", smg.export.design_sheet), ("cosmx.csv", smg.export.cosmx)):
        write(adata, tmp_path / name)
        assert "nan" not in (tmp_path / name).read_text().lower()


def test_a_workbook_needs_openpyxl_and_says_so(extended, tmp_path, monkeypatch):
    monkeypatch.setattr("smash_gpu.export._sheet.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"order.xlsx: an Excel workbook needs openpyxl: pip install openpyxl"):
        smg.export.design_sheet(extended, tmp_path / "order.xlsx")
    with pytest.raises(ValueError, match=r"order.txt: a design sheet is a .csv or .xlsx file"):
        smg.export.design_sheet(extended, tmp_path / "order.txt")


@pytest.mark.skipif(importlib.util.find_spec("openpyxl") is None, reason="openpyxl is not installed")
def test_a_workbook_holds_the_sheet_the_slide_and_the_options(extended, tmp_path):
    smg.export.design_sheet(extended, tmp_path / "order.xlsx")
    smg.export.design_sheet(extended, tmp_path / "order.csv")
    book = pd.read_excel(tmp_path / "order.xlsx", sheet_name=None, keep_default_na=False, dtype=str)
    assert list(book) == ["Panel", "On the slide", "Options"]
    assert book["Panel"].equals(pd.read_csv(tmp_path / "order.csv", keep_default_na=False, dtype=str))
    assert book["On the slide"]["name"].tolist() == GENES + smg.get.panel(extended)
