"""Intervals, differences, groups and pairs against plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.lists import MIXED, NOISE, data_of, judged, values
from scipy import stats

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.data import splits
from smash_gpu.evaluation import summary


def test_the_interval_is_students_t_with_the_correction_of_nadeau_and_bengio(adata):
    table = judged(adata, genes=MIXED, n_splits=4)
    x = table["mcc"].to_numpy()
    half = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 72 / 168) * x.var(ddof=1))
    row = smg.get.evaluation(adata).loc["mcc"]
    assert row[["low", "high"]].tolist() == pytest.approx([x.mean() - half, min(x.mean() + half, 1)])
    wider = smg.get.evaluation(adata, level=0.99).loc["mcc"]
    assert wider["low"] < row["low"]


def test_the_interval_covers_the_truth_where_the_plain_one_does_not():
    """Cells are wrong with probability 0.2; ten random thirds of 300 such cells share what is special about them."""
    rng = np.random.default_rng(0)
    covered = plain = 0
    for _ in range(400):
        wrong = rng.random(300) < 0.2
        means = np.array([rng.permutation(wrong)[:90].mean() for _ in range(10)])
        low, high = summary.interval(means, 90 / 210)
        covered += low <= 0.2 <= high
        low, high = summary.interval(means, 0.0)
        plain += low <= 0.2 <= high
    assert covered / 400 > 0.9
    assert plain / 400 < 0.85


def test_one_split_has_no_interval(adata):
    judged(adata, genes=MIXED, n_splits=1)
    assert smg.get.evaluation(adata).loc["mcc", ["std", "low", "high"]].isna().all()


def test_differences_are_paired_by_split(adata):
    table = judged(adata, genes={"a": MIXED, "b": NOISE[:6]}, n_random=1)
    found = smg.get.differences(adata, "mcc", reference="b").set_index(["genes", "is_random"])
    a, b = (table[(table["genes"] == name) & (table["random"] == 0)]["mcc"].to_numpy() for name in "ab")
    assert found.loc[("a", False), "mean"] == pytest.approx((a - b).mean())
    assert found.loc[("a", False), "std"] == pytest.approx((a - b).std(ddof=1))
    assert ("b", True) in found.index
    assert ("b", False) not in found.index
    with pytest.raises(KeyError, match="no results for the list 'c'.*a, b"):
        smg.get.differences(adata, reference="c")


def test_one_list_has_no_differences_but_the_columns(adata):
    judged(adata, genes=MIXED, n_splits=1)
    assert len(smg.get.differences(adata)) == 0
    assert "mean" in smg.get.differences(adata)


def plain_group(true, predicted, group):
    hit = sum(t == p == group for t, p in zip(true, predicted, strict=True))
    recall = hit / max((true == group).sum(), 1)
    precision = hit / max((predicted == group).sum(), 1)
    return recall, precision, 2 * hit / ((true == group).sum() + (predicted == group).sum())


def test_group_metrics_are_the_plain_loop_over_the_cells_of_all_splits(adata):
    judged(adata, genes=MIXED[:3], n_splits=3, random_state=1)
    data = data_of(adata)
    X = data.host_expression(np.flatnonzero(adata.var_names.isin(MIXED[:3])))
    true, predicted, expected = [], [], []
    for split in splits.repeated(data.labels, n_splits=3, test_fraction=0.3, random_state=1):
        true.append(data.labels[split.test])
        predicted.append(evaluation.predict(X, data.labels, split, scale_on_all=False))
        expected.append([plain_group(true[-1], predicted[-1], g) for g in range(3)])
    table = smg.get.group_metrics(adata)
    for g, group in enumerate(data.groups):
        for r, name in enumerate(("recall", "precision", "f1")):
            row = table[(table["group"] == group) & (table["metric"] == name)].iloc[0]
            seen = [fold[g][r] for fold in expected]
            assert row["mean"] == pytest.approx(plain_group(np.concatenate(true), np.concatenate(predicted), g)[r])
            assert row["min"] == pytest.approx(min(seen))
            assert row["max"] == pytest.approx(max(seen))
            assert row["low"] <= row["mean"] <= row["high"]
    assert table.groupby("group", observed=True)["cells"].first().sum() == 3 * 72


def test_a_split_without_cells_of_a_group_says_nothing_about_it():
    confusions = np.array([[[3, 1], [0, 0]], [[4, 0], [2, 2]]])
    table = pd.DataFrame({"split": [0, 1], "n_train": [10, 10], "n_test": [4, 8]})
    found = summary.groups(table, confusions, ["x", "y"]).set_index(["group", "metric"])
    assert found.loc[("y", "recall"), "mean"] == 0.5
    assert np.isnan(found.loc[("y", "recall"), "low"])
    assert found.loc[("x", "recall"), "mean"] == pytest.approx((0.75 + 1) / 2)


def test_pairs_are_ranked_by_the_mean_of_both_shares():
    confusion = np.array([[90, 10, 0], [0, 95, 5], [0, 1, 3]])
    found = summary.unresolved_pairs(confusion, ["a", "b", "c"])
    expected = [("b", "c", (0.05 + 0.25) / 2, 6), ("a", "b", 0.05, 10)]
    for (first, second, share, cells), row in zip(expected, found.itertuples(), strict=True):
        assert (row.group, row.other, row.cells) == (first, second, cells)
        assert row.confusion == pytest.approx(share)
    relabelled = summary.unresolved_pairs(confusion[::-1, ::-1], ["c", "b", "a"])
    np.testing.assert_allclose(relabelled["confusion"], found["confusion"])


def test_cases_are_found_by_what_names_them(adata):
    judged(adata, genes={"a": MIXED, "b": NOISE[:6]}, n_genes=[2, 6], classifier=["knn", "logreg"], thin=0.5)
    table = smg.get.evaluation_splits(adata)
    chosen = {"genes": "b", "n_genes": 2, "classifier": "logreg", "thin": 0.5, "dropout": 0}
    expected = values(table, **chosen)
    found = smg.get.evaluation(adata, genes="b", n_genes=2, classifier="logreg", thin=0.5)
    assert found.loc["n_genes", "mean"] == 2
    np.testing.assert_allclose(found.loc[list(evaluation.METRICS), "mean"], expected.mean(axis=0))
    assert smg.get.confusion(adata, genes="b", n_genes=2).to_numpy().sum() == 3 * 72
    with pytest.raises(KeyError, match="genes='c'; available: a, b"):
        smg.get.confusion(adata, genes="c")
    with pytest.raises(KeyError, match="Did you mean 'f1_macro'"):
        smg.get.comparison(adata, "f1_macr")
