"""What each protocol lets the selection see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.evaluation import FEW_TREES, MARKERS, fold_of_cells, plain_metrics, plain_neighbours
from sklearn.model_selection import train_test_split

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.annotated.read import read
from smash_gpu.data.splits import Split
from smash_gpu.selection import steps
from smash_gpu.selection.marker_panel import choose_panel
from smash_gpu.selection.options import Importance, InversePCA, Recipe


def log_normalized(adata):
    counts = adata.X.toarray().astype(np.float64)
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def data_of(adata, **source):
    return read(adata, {"groupby": "cell_type", **source})


def test_the_selection_sees_the_training_cells_only(adata, rng):
    adata.obs.loc[adata.obs_names[::7], "cell_type"] = np.nan
    with pytest.warns(UserWarning, match="no label"):
        data = data_of(adata)
    order = rng.permutation(len(data.cells))
    parts = [Split(np.sort(order[50:]), np.sort(order[:50])), Split(np.sort(order[:120]), np.sort(order[120:]))]
    seen = []

    def spy(part):
        seen.append((part.cells, part.labels, part.stats))
        return np.arange(5)

    evaluation.evaluate(data, spy, parts)
    assert len(seen) == 2
    for (cells, labels, stats), split in zip(seen, parts, strict=True):
        np.testing.assert_array_equal(cells, data.cells[split.train])
        np.testing.assert_array_equal(labels, data.labels[split.train])
        np.testing.assert_array_equal(stats.cells, np.bincount(labels))
        np.testing.assert_array_equal(stats.detected.sum(axis=0), (adata.X[cells] > 0).sum(axis=0).A1)


def test_held_out_counts_cannot_change_what_is_selected(adata, rng):
    train = fold_of_cells(rng, 240).train
    scrambled = adata.X.toarray()
    held_out = np.setdiff1d(np.arange(240), train)
    scrambled[held_out] = scrambled[held_out][:, ::-1]
    choose = choose_panel(Recipe(importance=Importance(options=FEW_TREES)), 9)
    chosen = []
    for counts in (adata.X, scrambled):
        adata.X = counts
        chosen.append(choose(data_of(adata).only(train)).tolist())
    assert chosen[0] == chosen[1]


def test_confusion_counts_every_held_out_cell_by_true_and_predicted_group(adata, rng):
    data = data_of(adata)
    parts = [fold_of_cells(rng, 240) for _ in range(2)]
    genes = np.arange(20, 30)
    found = evaluation.evaluate(data, lambda _: genes, parts)
    X, expected, rows = data.host_expression(genes), np.zeros((3, 3), dtype=int), []
    for split in parts:
        predicted = evaluation.predict(X, data.labels, split, scale_on_all=False)
        rows.append(evaluation.metrics_of_labels(data.labels[split.test], predicted))
        for t, p in zip(data.labels[split.test], predicted, strict=True):
            expected[t, p] += 1
    np.testing.assert_array_equal(found.confusion, expected)
    pd.testing.assert_frame_equal(found.table[list(evaluation.METRICS)], pd.DataFrame(rows))
    assert found.table["n_genes"].tolist() == [10, 10]
    assert 1 - np.trace(expected) / expected.sum() == pytest.approx(found.table["misclassification"].mean())


def test_the_paper_protocol_is_one_70_30_split_of_seed_42_with_z_of_all_cells(adata):
    genes = MARKERS[:2] + [f"NOISE{i}" for i in range(20, 26)]
    smg.tl.evaluate(adata, "cell_type", genes=genes, protocol="paper", n_splits=5, random_state=7)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    train, test = train_test_split(np.arange(240), test_size=0.3, stratify=codes, random_state=42)
    split = Split(np.sort(train), np.sort(test))
    X = log_normalized(adata)[:, adata.var_names.isin(genes)]
    predicted = plain_neighbours(X, codes, split, np.arange(240))
    expected = plain_metrics(codes[split.test].tolist(), predicted)
    table = smg.get.evaluation(adata)
    assert 0 < expected["misclassification"] < 1, "a question that is neither trivial nor hopeless"
    for name, value in expected.items():
        assert table.loc[name, ["mean", "min", "max"]].tolist() == pytest.approx([value] * 3)
    assert table.loc["n_genes", "mean"] == len(genes)
    assert smg.get.confusion(adata).to_numpy().sum() == len(test) == 72


def test_the_leak_free_protocol_is_several_70_30_splits_with_z_of_the_training_cells(adata):
    genes = MARKERS[:2] + [f"NOISE{i}" for i in range(20, 26)]
    smg.tl.evaluate(adata, "cell_type", genes=genes, n_splits=2, random_state=7)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    X, values = log_normalized(adata)[:, adata.var_names.isin(genes)], []
    for seed in (7, 8):
        train, test = train_test_split(np.arange(240), test_size=0.3, stratify=codes, random_state=seed)
        split = Split(np.sort(train), np.sort(test))
        predicted = plain_neighbours(X, codes, split, split.train)
        values.append(plain_metrics(codes[split.test].tolist(), predicted)["misclassification"])
    row = smg.get.evaluation(adata).loc["misclassification"]
    described = row[["mean", "std", "min", "max"]].tolist()
    assert described == pytest.approx([np.mean(values), np.std(values, ddof=1), min(values), max(values)])


def spied_panels(monkeypatch):
    """What every selection inside `tl.evaluate` saw."""
    seen = []
    honest = steps.select

    def select(data, recipe, *rest, **options):
        seen.append((data.cells, recipe))
        return honest(data, recipe, *rest, **options)

    monkeypatch.setattr("smash_gpu.selection.marker_panel.select", select)
    return seen


def test_without_a_list_the_selection_is_repeated_in_every_split_with_its_own_options(adata, monkeypatch):
    options = {"n_top": 4, "random_state": 3, "filters": {"max_fraction": 0.9, "exclude": ["MARKER0X"]}}
    smg.tl.smash(adata, "cell_type", inverse_pca=True, model_options=FEW_TREES, **options)
    seen = spied_panels(monkeypatch)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=2, random_state=5)
    assert len(seen) == 2
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    for seed, (cells, recipe) in zip((5, 6), seen, strict=True):
        train, _ = train_test_split(np.arange(240), test_size=0.3, stratify=codes, random_state=seed)
        np.testing.assert_array_equal(cells, np.sort(train))
        assert recipe.inverse_pca == InversePCA()
        assert (recipe.filters.max_fraction, recipe.filters.exclude) == (0.9, ("MARKER0X",))
        assert (recipe.importance.model, dict(recipe.importance.options)) == ("rf", FEW_TREES)
        assert (recipe.importance.random_state, recipe.ranking.n_top) == (3, 4)
    assert smg.get.evaluation(adata).loc["n_genes", "mean"] == 9


def test_an_option_of_none_is_repeated_as_none(adata, monkeypatch):
    """max_features=None is all genes; left out, scikit-learn takes the square root of their number."""
    smg.tl.smash(adata, "cell_type", model_options={"max_features": None, **FEW_TREES})
    seen = spied_panels(monkeypatch)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=1)
    assert dict(seen[0][1].importance.options) == {"max_features": None, **FEW_TREES}


def test_with_samples_whole_donors_are_held_out(adata, monkeypatch):
    smg.tl.smash(adata, "cell_type", sample_key="sample", model_options=FEW_TREES)
    seen = spied_panels(monkeypatch)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=4)
    donors = adata.obs["sample"].to_numpy()
    held_out = [set(donors) - set(donors[cells]) for cells, _ in seen]
    assert [len(donor) for donor in held_out] == [1, 1, 1, 1]
    assert set().union(*held_out) == set(donors)
    for (cells, _), donor in zip(seen, held_out, strict=True):
        assert len(cells) == np.isin(donors, list(donor), invert=True).sum()
    assert smg.get.confusion(adata).to_numpy().sum() == 240


def test_there_are_never_more_folds_than_donors(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, sample_key="sample", n_splits=9)
    assert len(adata.uns["smash"]["evaluation"]) == adata.obs["sample"].nunique() == 4


def test_the_paper_protocol_asks_for_no_number_of_splits(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, protocol="paper", n_splits=1, sample_key="sample")
    assert smg.get.confusion(adata).to_numpy().sum() == 72
