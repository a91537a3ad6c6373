"""Random labels and random panels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.lists import MARKERS, MIXED, NOISE, judged
from cells import planted
from scipy import stats

import smash_gpu as smg
from smash_gpu.evaluation import random_panels


def test_random_labels_give_chance_for_every_classifier(rng):
    adata = planted(rng, n_cells=600)
    adata.obs["cell_type"] = pd.Categorical(rng.permutation(adata.obs["cell_type"].astype(str)))
    table = judged(adata, genes=MARKERS, classifier=["knn", "logreg", "forest"], n_splits=2)
    assert np.abs(table["cohen_kappa"]).max() < 0.15
    assert np.abs(table["mcc"]).max() < 0.15
    assert np.abs(table["balanced_accuracy"] - 1 / 3).max() < 0.1


def test_matched_panels_have_the_size_and_the_expression_of_the_panel(rng):
    names = np.array([f"g{i:04d}" for i in range(500)], dtype=object)
    mean = np.append(rng.exponential(size=480), np.zeros(20))
    bins = random_panels.expression_bins(mean, names)
    assert set(bins[480:]) == {-1}
    assert np.bincount(bins[:480]).tolist() == [24] * 20
    for low in range(19):
        assert mean[bins == low].max() <= mean[bins == low + 1].min()
    panel = rng.permutation(500)[:60]
    found = random_panels.matched_panel(panel, bins, names, (0, 1))
    assert len(set(found)) == len(panel)
    np.testing.assert_array_equal(bins[found], bins[panel])
    assert found.tolist() == random_panels.matched_panel(panel, bins, names, (0, 1)).tolist()
    assert found.tolist() != random_panels.matched_panel(panel, bins, names, (0, 2)).tolist()


def test_every_gene_of_a_bin_is_as_likely_to_be_drawn():
    names = np.array(list("abcdefgh"), dtype=object)
    bins = np.repeat([0, 1], 4)
    drawn = [random_panels.matched_panel(np.array([0, 5]), bins, names, (0, i)) for i in range(800)]
    counts = np.bincount(np.concatenate(drawn), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_chance_is_worse_than_markers_and_as_good_as_noise(rng):
    adata = planted(rng, n_genes=200)
    judged(adata, genes={"markers": MARKERS, "noise": NOISE[:9]}, n_random=4)
    table = smg.get.comparison(adata, "misclassification").set_index(["genes", "is_random"])["mean"]
    assert table["markers", False] < 0.05
    assert table["markers", True] > 0.3
    assert abs(table["noise", False] - table["noise", True]) < 0.15


def test_random_panels_count_once_a_split(adata):
    table = judged(adata, genes=MIXED, n_random=3, n_splits=2)
    found = smg.get.evaluation(adata, is_random=True)
    by_split = table[table["random"] > 0].groupby("split")["mcc"].mean()
    assert len(by_split) == 2
    assert found.loc["mcc", "mean"] == pytest.approx(by_split.mean())
    assert found.loc["mcc", "std"] == pytest.approx(by_split.std())
    with pytest.raises(KeyError, match="n_random="):
        judged(adata, genes=MIXED)
        smg.get.evaluation(adata, is_random=True)
