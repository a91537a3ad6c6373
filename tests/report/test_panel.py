"""Panels and selections inside broad groups in the report."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cases.page import IMAGE, Page, hostile_cells, rows_of, smash, under_headings
from cells import planted

import smash_gpu as smg

mpl.use("Agg")


@pytest.mark.slow
def test_selections_inside_broad_groups_and_other_conditions_are_shown(rng):
    adata = planted(rng, groups=("a", "b", "c", "d"))
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(["a", "b"]), "left", "right")
    smash(adata, within="broad")
    smg.tl.evaluate(
        adata, "cell_type", genes=smg.get.marker_panel(adata, 9), classifier=["knn", "logreg"], thin=0.5, n_splits=2
    )
    page = smg.report.page(adata)
    assert Page(page)
    ledger = adata.uns["smash"]["filters"]
    expected = []
    for part, rules in ledger.groupby("within", sort=False, observed=True)["rule"]:
        expected += [f"within {part}", *rules]
    assert [row[0] for row in rows_of(page, "Genes removed by each rule")[1:]] == expected
    rows = rows_of(page, "Markers of each class, and the evidence")[1:]
    part = None
    for row in rows:
        part = row[0] if len(row) == 1 else part
        assert len(row) == 1 or row[-2].startswith(part.split(" / ")[0])
    conditions = rows_of(page, "Other classifiers and poorer data")
    assert conditions[0][:2] == ["classifier", "counts kept"]
    assert len(under_headings(conditions[1:])) == 4


def test_a_designed_panel_gets_a_chapter(adata):
    smash(adata)
    assert "designed" not in smg.report.page(adata, figures=False)
    genes = pd.DataFrame({"rank": [1, 2], "name": [IMAGE, "B"], "gain": [0.51234, np.nan], "substitute": [None, "C"]})
    curve = pd.DataFrame({"n_genes": range(300), "resolution": np.linspace(0, 1, 300)})
    adata.uns["smash_panel"] = {"genes": genes, "curve": curve, "rules": genes[:0], "params": {}}
    page = smg.report.page(adata, figures=False)
    parsed = Page(page)
    assert not [a for a in parsed.all("img") if "onerror" in a]
    assert rows_of(page, "Genes in the order in which they were chosen")[1:] == [
        [IMAGE, "1", "0.512"],
        ["B", "2", "–"],
    ]
    assert rows_of(page, "What is lost without each gene")[1:] == [[IMAGE, "–"], ["B", "C"]]
    curve = rows_of(page, "What the panel resolves")[1:]
    assert (curve[0][0], curve[-1][0]) == ("1", "299")
    assert "Genes that the rules removed" not in page


@pytest.mark.slow
def test_a_designed_panel_is_drawn_with_its_hostile_names():
    adata = hostile_cells()
    smash(adata)
    smg.tl.panel(adata, "cell_type", n_genes=8)
    page = smg.report.page(adata)
    parsed = Page(page)
    assert len(parsed.all("img")) == 8
    assert not parsed.all("script")
    genes = [row[0] for row in rows_of(page, "Genes in the order in which they were chosen")[1:]]
    assert [gene.replace("\N{REPLACEMENT CHARACTER}", "") for gene in genes] == [
        name.translate({0x202E: None, 0: None}) for name in smg.get.panel(adata)
    ]


@pytest.mark.slow
def test_the_cells_are_drawn_only_if_asked_for(adata, monkeypatch):
    smash(adata)
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v1")
    monkeypatch.setattr(smg.pl, "panel_umap", smg.pl.panel_curve)
    drawn = [len(Page(smg.report.page(adata, umap=umap)).all("img")) for umap in (False, True)]
    assert drawn[1] == drawn[0] + 1
    page = smg.report.page(adata, figures=False)
    used = [row[-2] for row in rows_of(page, "Numbers of the platform")[1:]]
    assert "no public limit on transcripts per cell; give max_transcripts=" in used
    assert len(rows_of(page, "Transcripts per cell of the whole panel")) == 1 + 3


@pytest.mark.slow
def test_a_panel_of_tl_panel_is_drawn_and_listed(adata):
    smash(adata)
    before = len(Page(smg.report.page(adata)).all("img"))
    smg.tl.panel(adata, "cell_type", n_genes=5)
    page = smg.report.page(adata)
    assert len(Page(page).all("img")) == before + 6
    listed = [row[0] for row in rows_of(page, "Genes in the order in which they were chosen")[1:]]
    assert listed == smg.get.panel_table(adata)["name"].tolist()
    assert len(rows_of(page, "Pairs of classes, least resolved first")) == 1 + 3


def test_a_table_leaves_out_what_says_nothing(adata):
    smg.tl.panel(adata, "cell_type", n_genes=5)
    page = smg.report.page(adata, figures=False)
    first = {
        "Markers of each class": "class",
        "Transcripts per cell of the whole": "class",
        "Pairs of classes": "class",
    }
    for caption, title in first.items():
        titles = rows_of(page, caption)[0]
        assert titles[0] == title and not {"column", "requested", "reason"} & set(titles)
    assert "symbol" not in rows_of(page, "Genes in the order in which they were chosen")[0]
    assert "<i>MARKER" in page
    adata.obs["half"] = ["left", "right"] * (adata.n_obs // 2)
    smg.tl.panel(adata, ["cell_type", "half"], n_genes=9, min_markers=1)
    page = smg.report.page(adata, figures=False)
    assert rows_of(page, "Markers of each class")[0][:3] == ["class", "column", "requested"]
    assert {row[1] for row in rows_of(page, "Markers of each class")[1:]} == {"cell_type", "half"}


def test_the_classes_of_every_column_are_drawn(designed):
    page = smg.report.page(designed)
    for figure in ("Dot plot of the panel by class.", "Mean expression of the panel by class."):
        assert all(f"{figure} Column {column}." in page for column in ("cell_type", "fine"))


@pytest.mark.slow
def test_the_printed_panel_and_failure_rates_are_shown_also_without_markers(adata, tmp_path):
    with pytest.warns(UserWarning, match="on the slide but not in the data"):
        smg.tl.panel(adata, "cell_type", n_genes=3, extend=["NOISE30", "GFP"], failure_rate=0.2)
    page = smg.report.page(adata)
    assert Page(page).texts["h2"] == ["Designed panel", "Options"]
    assert len(Page(page).all("img")) == 6
    assert "printed panel of 2 genes, of which the data lack 1" in Page(page).text
    assert "fails with a probability of 0.2;" in Page(page).text
    printed = [["gene", "in these data"], ["NOISE30", "yes"], ["GFP", "no"]]
    assert [[row[0], row[-1]] for row in rows_of(page, "Printed panel")] == printed
    assert "markers of the class" not in page[page.index("Printed panel that") : page.index("Genes in the order")]
    assert [row[0] for row in rows_of(page, "What the panel resolves")[1:]] == ["2", "3", "4", "5"]
    titles, *genes = rows_of(page, "Genes in the order in which they were chosen")
    assert {row[titles.index("failure rate")] for row in genes} == {"0.200"}
    smash(adata)
    assert "printed panel of 2 genes" in smg.report.page(adata, figures=False)
