"""Metrics, nearest neighbours, and what each protocol lets the selection see."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef
from sklearn.model_selection import train_test_split

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.annotated.read import read
from smash_gpu.data.splits import Split
from smash_gpu.selection import steps
from smash_gpu.selection.options import Importance, Recipe
from smash_gpu.selection.steps import choose_panel

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
FEW_TREES = {"n_estimators": 10}


def plain_metrics(true, predicted):
    """Every metric by counting pairs in a double loop; kappa and Matthews' correlation by scikit-learn."""
    precision, recall, f1, size = [], [], [], []
    for group in sorted(set(true)):
        hit = wrong = missed = 0
        for t, p in zip(true, predicted, strict=True):
            hit += t == group and p == group
            wrong += t != group and p == group
            missed += t == group and p != group
        precision.append(hit / (hit + wrong) if hit + wrong else 0.0)
        recall.append(hit / (hit + missed))
        f1.append(2 * hit / (2 * hit + wrong + missed))
        size.append(hit + missed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa, mcc = cohen_kappa_score(true, predicted), matthews_corrcoef(true, predicted)
    return {
        "misclassification": sum(t != p for t, p in zip(true, predicted, strict=True)) / len(true),
        "macro_1_minus_precision": 1 - sum(precision) / len(precision),
        "macro_1_minus_recall": 1 - sum(recall) / len(recall),
        "f1_weighted": sum(f * n for f, n in zip(f1, size, strict=True)) / len(true),
        "f1_macro": sum(f1) / len(f1),
        "accuracy": sum(t == p for t, p in zip(true, predicted, strict=True)) / len(true),
        "balanced_accuracy": sum(recall) / len(recall),
        "cohen_kappa": kappa,
        "mcc": mcc,
    }


def plain_neighbours(X, group, split, reference):
    """k = 3 by sorting all distances, on z cut at 10; ``reference`` is the cells that mean and deviation come from."""
    std = X[reference].std(axis=0, ddof=1)
    z = np.minimum((X - X[reference].mean(axis=0)) / std, 10)
    predicted = []
    for cell in split.test:
        nearest = sorted(split.train, key=lambda other, cell=cell: ((z[cell] - z[other]) ** 2).sum())[:3]
        votes = np.bincount(group[nearest])
        predicted.append(int(np.flatnonzero(votes == votes.max())[0]))
    return predicted


def log_normalized(adata):
    counts = adata.X.toarray().astype(np.float64)
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def data_of(adata, **source):
    return read(adata, {"groupby": "cell_type", **source})


def fold_of_cells(rng, n=60):
    cells = rng.permutation(n)
    return Split(np.sort(cells[n // 3 :]), np.sort(cells[: n // 3]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_metrics_are_the_plain_loop(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    found = evaluation.metrics_of_labels(np.array(true), np.array(predicted))
    assert tuple(found) == evaluation.METRICS
    assert found == pytest.approx(plain_metrics(true, predicted), nan_ok=True)


def test_a_group_that_is_never_predicted_has_precision_and_f1_of_nought(recwarn):
    found = evaluation.metrics_of_labels(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    expected = {
        "misclassification": 1 / 4,
        "macro_1_minus_precision": 1 - (3 / 4 + 0) / 2,
        "macro_1_minus_recall": 1 - (1 + 0) / 2,
        "f1_weighted": 3 / 4 * 6 / 7,
        "f1_macro": 6 / 7 / 2,
        "accuracy": 3 / 4,
        "balanced_accuracy": 1 / 2,
        "cohen_kappa": 0,
        "mcc": 0,
    }
    assert found == pytest.approx(expected)
    assert not recwarn.list


def test_a_perfect_prediction_reads_nought_and_one():
    found = evaluation.metrics_of_labels(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2]))
    assert list(found.values()) == [0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_metrics_disagree_on_unbalanced_groups():
    """99 cells right and the one rare cell wrong: 1 % of the cells, half of the groups."""
    found = evaluation.metrics_of_labels(np.append(np.zeros(99, dtype=int), 1), np.zeros(100, dtype=int))
    assert found["misclassification"] == pytest.approx(0.01)
    assert found["macro_1_minus_recall"] == pytest.approx(0.5)


@pytest.mark.parametrize("scale_on_all", [True, False])
def test_prediction_is_the_plain_three_nearest_neighbours_on_z(rng, scale_on_all):
    group = rng.integers(0, 4, 60)
    X = (rng.normal(size=(60, 5)) + 0.5 * group[:, None]) * [1, 10, 100, 0.1, 1] + 3
    split = fold_of_cells(rng)
    reference = np.arange(60) if scale_on_all else split.train
    found = evaluation.predict(X.astype(np.float32), group, split, scale_on_all=scale_on_all)
    assert found.tolist() == plain_neighbours(X, group, split, reference)


def test_an_extreme_held_out_cell_counts_only_where_z_comes_from_all_cells():
    """The second gene says group 1 of cell 6, until the spread of cell 7 makes it weightless."""
    X = np.array([[0, 0], [1, 0.1], [2, 0.2], [10, 1], [11, 1.1], [12, 1.2], [4, 1.1], [4, 1000]], dtype=np.float32)
    group, split = np.array([0, 0, 0, 1, 1, 1, 1, 1]), Split(np.arange(6), np.array([6, 7]))
    assert evaluation.predict(X, group, split, scale_on_all=False)[0] == 1
    assert evaluation.predict(X, group, split, scale_on_all=True)[0] == 0


def test_a_constant_gene_does_not_disturb_the_neighbours(rng):
    group = rng.integers(0, 3, 60)
    X = (rng.normal(size=(60, 3)) + group[:, None]).astype(np.float32)
    split = fold_of_cells(rng)
    plain = evaluation.predict(X, group, split, scale_on_all=False)
    constant = evaluation.predict(np.column_stack([X, np.full(60, 7, np.float32)]), group, split, scale_on_all=False)
    np.testing.assert_array_equal(plain, constant)


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

    def select(data, recipe, *rest):
        seen.append((data.cells, recipe))
        return honest(data, recipe, *rest)

    monkeypatch.setattr("smash_gpu.selection.steps.select", select)
    return seen


def test_without_a_list_the_selection_is_repeated_in_every_split_with_its_own_options(adata, monkeypatch):
    options = {"n_top": 4, "random_state": 3, "filters": {"max_fraction": 0.9, "exclude": ["MARKER0X"]}}
    smg.tl.smash(adata, "cell_type", inverse_pca=False, model_options=FEW_TREES, **options)
    seen = spied_panels(monkeypatch)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=2, random_state=5)
    assert len(seen) == 2
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    for seed, (cells, recipe) in zip((5, 6), seen, strict=True):
        train, _ = train_test_split(np.arange(240), test_size=0.3, stratify=codes, random_state=seed)
        np.testing.assert_array_equal(cells, np.sort(train))
        assert recipe.inverse_pca is None
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


def test_relabelling_the_groups_permutes_the_confusion(adata):
    smg.tl.evaluate(adata, "cell_type", genes=["NOISE20", "NOISE21", "MARKER0X"], protocol="paper")
    before = smg.get.confusion(adata)
    names = {"A": "Z", "B / b": "Y", "CD4+ T": "X"}
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str).map(names).astype("category")
    smg.tl.evaluate(adata, "cell_type", genes=["NOISE20", "NOISE21", "MARKER0X"], protocol="paper")
    after = smg.get.confusion(adata)
    assert after.index.tolist() == ["X", "Y", "Z"]
    assert np.trace(after.to_numpy()) != after.to_numpy().sum()
    assert after.sum(axis=1).to_dict() == before.rename(index=names).sum(axis=1).to_dict()


def test_the_confusion_table_is_labelled_and_its_rows_are_the_held_out_cells(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, protocol="paper")
    table = smg.get.confusion(adata)
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    assert table.index.tolist() == table.columns.tolist() == ["A", "B / b", "CD4+ T"]
    sizes = adata.obs["cell_type"].value_counts()
    for group, row in table.iterrows():
        assert abs(row.sum() - 0.3 * sizes[group]) < 1


def test_get_evaluation_has_a_row_a_reading_and_the_number_of_genes(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, n_splits=2)
    table = smg.get.evaluation(adata)
    assert table.index.tolist() == ["n_genes", *evaluation.METRICS]
    assert table.columns.tolist() == ["mean", "std", "min", "max", "low", "high"]


def test_a_list_is_judged_as_it_is_whatever_its_order(adata):
    tables = []
    for genes in (MARKERS, MARKERS[::-1], np.array(MARKERS), dict.fromkeys(MARKERS).keys(), [*MARKERS, *MARKERS]):
        smg.tl.evaluate(adata, "cell_type", genes=genes, n_splits=2)
        tables.append(smg.get.evaluation(adata))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_an_evaluation_needs_no_selection_and_makes_none(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS)
    assert not adata.varm
    assert not [column for column in adata.var if column.startswith("smash")]
    with pytest.raises(KeyError, match="run tl.smash"):
        smg.get.markers(adata)


def test_results_that_are_not_there_name_the_step_that_makes_them(adata):
    with pytest.raises(KeyError, match=r"tl\.evaluate"):
        smg.get.evaluation(adata)
    with pytest.raises(KeyError, match=r"tl\.evaluate"):
        smg.get.confusion(adata)


BAD = {
    "an unknown protocol": ({"genes": MARKERS, "protocol": "papre"}, ValueError, r"'papre'.*leak-free.*paper"),
    "an absent gene": ({"genes": ["MARKER0W", "MARKER1X"]}, KeyError, r"'MARKER0W'.*did you mean.*MARKER0[XYZ]"),
    "an empty list": ({"genes": []}, ValueError, "empty"),
    "one string for a list": ({"genes": "MARKER0X"}, TypeError, r"'MARKER0X'.*list"),
    "no selection to repeat": ({}, KeyError, r"tl\.smash.*genes="),
    "no splits": ({"genes": MARKERS, "n_splits": 0}, ValueError, "n_splits"),
    "one fold of samples": ({"genes": MARKERS, "n_splits": 1, "sample_key": "sample"}, ValueError, "n_splits.*2"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.evaluate(adata, "cell_type", **options)
    assert not adata.uns


def test_more_genes_than_have_a_score_is_an_error_with_both_numbers(adata):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    with pytest.raises(ValueError, match=r"panel of 1000 genes.*only \d+ have a score"):
        smg.tl.evaluate(adata, "cell_type", n_genes=1000)
    assert "evaluation" not in adata.uns["smash"]


@pytest.mark.filterwarnings("ignore:.*one training cell only", "ignore:.*got one cell moved")
@pytest.mark.parametrize("size", [2, 3])
def test_a_rare_group_is_judged_or_named_with_the_way_out(adata, size):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:size] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    try:
        smg.tl.evaluate(adata, "cell_type", n_genes=9)
    except ValueError as error:
        assert "rare type" in str(error)
        assert "min_cells" in str(error)
    else:
        assert smg.get.confusion(adata).loc["rare type"].sum() >= 3, "a cell in each of three splits"


def test_a_group_that_only_one_donor_has_is_judged_or_named(adata):
    """While that donor is held out, nothing can learn the group; its cells count as wrong."""
    labels, donors = adata.obs["cell_type"].astype(str).to_numpy(), adata.obs["sample"].to_numpy()
    labels[np.flatnonzero(donors == "donor2")[:6]] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", sample_key="sample", model_options=FEW_TREES)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=4)
    table = smg.get.confusion(adata)
    assert table.loc["rare type"].sum() == 6
    assert table.loc["rare type", "rare type"] == 0


@pytest.mark.filterwarnings("ignore:.*one training cell only")
def test_one_cell_of_a_group_among_the_training_donors_is_judged_or_named(adata):
    labels, donors = adata.obs["cell_type"].astype(str).to_numpy(), adata.obs["sample"].to_numpy()
    labels[np.flatnonzero(donors == "donor2")[:6]] = "rare type"
    labels[np.flatnonzero(donors == "donor1")[:1]] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", sample_key="sample", model_options=FEW_TREES)
    try:
        smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=4)
    except ValueError as error:
        assert "rare type" in str(error)
    else:
        assert smg.get.confusion(adata).loc["rare type"].sum() == 7
