"""NS-Forest's metrics against its own numbers (benchmarks/peers_original.py)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.peers import ORIGINAL
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.tree import DecisionTreeClassifier

import smash_gpu as smg
from smash_gpu.evaluation.peers import nsforest

FEW = settings(max_examples=40)


def test_nsforest_numbers_are_its_own(cells):
    smg.tl.nsforest_metrics(cells, "cell_type", markers=ORIGINAL["markers"])
    found = smg.get.nsforest_metrics(cells).set_index("group")
    for expected in ORIGINAL["nsforest"]["scores"]:
        row = found.loc[expected["clusterName"]]
        assert row[["TN", "FP", "FN", "TP"]].tolist() == [expected[c] for c in ("TN", "FP", "FN", "TP")]
        assert row[["f_beta", "precision", "recall", "on_target"]].tolist() == pytest.approx(
            [expected[c] for c in ("f_score", "precision", "recall", "onTarget")]
        )
        assert row["n_markers"] == len(ORIGINAL["markers"][expected["clusterName"]])


def test_binary_scores_are_nsforests_own(data):
    median = nsforest.medians(data.host_expression(np.arange(60)), data.labels, 3)
    found = nsforest.binary_scores(median)
    for code, group in enumerate(data.groups):
        np.testing.assert_allclose(found[code], ORIGINAL["nsforest"]["binary"][group], atol=1e-6)
    assert (found > 0).any()
    assert (found == 0).any()


def test_binary_score_and_on_target_are_the_plain_loop(rng):
    median = rng.uniform(0, 2, (4, 30)) * (rng.random((4, 30)) < 0.6)
    median[:, 3] = 0
    binary, share = nsforest.binary_scores(median), nsforest.on_target(median)
    for c in range(4):
        for g in range(30):
            m = median[:, g]
            terms = [max(0, 1 - m[j] / m[c]) for j in range(4) if j != c] if m[c] else [0]
            assert binary[c, g] == pytest.approx(sum(terms) / 3)
            assert share[c, g] == pytest.approx(m[c] / m.sum() if m.sum() else 0)


@FEW
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 6))
def test_a_stump_is_the_decision_tree_of_scikit_learn(seed, n_cells, n_levels):
    rng = np.random.default_rng(seed)
    values = rng.choice(rng.normal(size=n_levels).astype(np.float32), n_cells)
    positive = rng.random(n_cells) < rng.uniform(0.1, 0.9)
    found = nsforest.stump(values, positive)
    if len(set(positive)) < 2:
        return
    tree = DecisionTreeClassifier(max_leaf_nodes=2).fit(values[:, None], positive).tree_
    if len(set(values)) == 1:
        assert np.isnan(found)
        assert tree.node_count == 1
        return
    expected = tree.threshold[0] if tree.node_count > 1 else None
    assert expected is None or found == pytest.approx(expected)


def test_a_marker_that_does_not_vary_leaves_the_set_undefined(cells):
    X = cells.X.toarray()
    X[:, 30] = 0
    cells.X = sparse.csr_matrix(X)
    smg.tl.nsforest_metrics(cells, "cell_type", markers={"A": ["MARKER0X", "NOISE30"], "CD4+ T": ["MARKER2X"]})
    found = smg.get.nsforest_metrics(cells).set_index("group")
    assert np.isnan(found.loc["A", "f_beta"])
    assert found.loc["A", "TP"] == -1
    assert found.loc["CD4+ T", "f_beta"] > 0.8
    assert found.loc["A", "on_target"] > 0


def test_nsforest_judges_the_markers_of_the_last_selection(cells):
    smg.tl.smash(cells, "cell_type", n_top=2, model_options={"n_estimators": 10})
    smg.tl.nsforest_metrics(cells, "cell_type")
    first = smg.get.nsforest_metrics(cells)
    smg.tl.nsforest_metrics(cells, "cell_type", markers=smg.get.markers_dict(cells))
    pd.testing.assert_frame_equal(first, smg.get.nsforest_metrics(cells))
    assert first["group"].tolist() == ["A", "B / b", "CD4+ T"]
