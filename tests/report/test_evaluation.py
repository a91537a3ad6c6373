"""The chapter on evaluation says how cells were split, what was not judged, and whose error the headline is."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases.lists import NOISE
from cases.page import Page, rows_of, smash, under_headings

import smash_gpu as smg


def headline(page):
    """The facts on top of the page by their label."""
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page[: page.index("<nav")], re.DOTALL)
    return {label: re.sub("<[^>]+>", "", value) for label, value in facts}


def test_whole_donors_that_were_held_out_are_said_to_be_and_no_stratified_splits(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[np.flatnonzero(adata.obs["sample"] == "donor2")[:6]] = "epsilon"
    adata.obs["cell_type"] = labels
    smash(adata)
    with pytest.warns(UserWarning, match="epsilon: all cells are of sample donor2"):
        smg.tl.evaluate(adata, "cell_type", n_genes=6, sample_key="sample", n_splits=4)
    page = smg.report.page(adata, figures=False)
    text = Page(page).text
    assert "whole samples held out (column sample), 4 folds, seed 0" in text
    assert "stratified" not in text
    assert "other samples of" in text
    assert "epsilon: all cells are of sample donor2." in text
    rows = {row[0]: row[1:] for row in rows_of(page, "Metrics per class")}
    assert rows["epsilon"] == ["0", "–", "–", "–"]
    parameters = {row[0] for row in rows_of(page, "Parameters of each step") if len(row) == 2}
    assert {"sample_key", "n_seeds", "thin", "dropout", "min_cells", "n_genes"} <= parameters


def test_the_headline_is_the_error_of_the_selection_of_the_page_with_its_name(adata):
    smash(adata)
    lists = {"vendor": NOISE[:4], "mine": lambda cells, n: NOISE[4 : 4 + n], "standard": "wilcoxon", "smash": None}
    with pytest.warns(UserWarning, match="vendor has 4 of 6 genes"):
        smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=[3, 6], n_splits=2)
    page = smg.report.page(adata, figures=False)
    error = smg.get.evaluation(adata, genes="smash").loc["misclassification", "mean"]
    assert error < smg.get.evaluation(adata).loc["misclassification", "mean"] - 0.2
    assert headline(page)["misclassification rate (smash, 6 genes)"].startswith(f"{error:.3f}")
    assert "Marker panel of 6 genes" in Page(page).texts["h2"]
    assert len(rows_of(page, "Metrics per class. List: smash, 6 genes.")) == 4
    judged = ["vendor, 4 genes", "mine, 6 genes", "standard, 6 genes", "smash, 6 genes"]
    assert rows_of(page, "Metrics on held-out cells")[0][1:] == judged
    curve = [row[:2] for row in under_headings(rows_of(page, "Learning curve")[1:])]
    assert curve[:2] == [["vendor", "3"], ["vendor", "6 (has 4)"]]
    assert re.search(r"<li><i>.*?</i><small> \d/2</small>", page)


def test_the_headline_names_the_list_if_the_selection_was_not_judged(adata):
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", genes={"vendor": NOISE[:4]}, n_splits=2)
    assert "misclassification rate (vendor, 4 genes)" in headline(smg.report.page(adata, figures=False))
