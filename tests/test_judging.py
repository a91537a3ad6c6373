"""Lists side by side: curves, random panels, thinning, failing genes, intervals, pairs; against plain loops."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from cells import planted
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.annotated.read import read
from smash_gpu.data import splits
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Condition, Judging, degrade, random_panels, summary
from smash_gpu.selection import steps

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
MIXED = ["MARKER0X", "NOISE20", "MARKER1X", "NOISE21", "NOISE22", "MARKER2X"]
NOISE = [f"NOISE{i}" for i in range(20, 32)]
FEW_TREES = {"n_estimators": 10}


def data_of(adata, **source):
    return read(adata, {"groupby": "cell_type", **source})


def judged(adata, **options):
    smg.tl.evaluate(adata, "cell_type", **options)
    return smg.get.evaluation_splits(adata)


def values(table, **case):
    for column, value in case.items():
        table = table[table[column] == value]
    return table[list(evaluation.METRICS)].to_numpy()


def test_lists_side_by_side_are_what_they_are_alone(adata):
    both = judged(adata, genes={"a / b": MIXED, "noise": NOISE[:6]}, n_random=2, thin=0.4, dropout=0.3)
    for name, genes in (("a / b", MIXED), ("noise", NOISE[:6])):
        alone = judged(adata, genes={name: genes}, n_random=2, thin=0.4, dropout=0.3)
        pd.testing.assert_frame_equal(both[both["genes"] == name].reset_index(drop=True), alone, check_like=True)


def test_a_learning_curve_judges_prefixes(adata):
    curve = judged(adata, genes=MIXED, n_genes=[2, 5, 6])
    for n in (2, 5, 6):
        alone = judged(adata, genes=MIXED[:n])
        np.testing.assert_array_equal(values(curve, n_genes=n), values(alone))


def test_the_curve_is_of_intact_cells_and_one_classifier_list_by_list(adata):
    table = judged(
        adata, genes={"z": MIXED, "a": NOISE[:6]}, n_genes=[6, 2, 4], thin=0.5, classifier=["logreg", "knn"], n_random=1
    )  # fmt: skip
    curve = smg.get.learning_curve(adata, "mcc", classifier="knn")
    assert curve["n_genes"].tolist() == [2, 4, 6] * 4
    assert curve["genes"].tolist() == (["z"] * 3 + ["a"] * 3) * 2
    assert curve["is_random"].tolist() == [False] * 6 + [True] * 6
    rows = table[(table["genes"] == "a") & (table["n_genes"] == 4) & (table["random"] == 0) & (table["thin"] == 1)]
    expected = rows[rows["classifier"] == "knn"]["mcc"].mean()
    assert curve.set_index(["genes", "n_genes", "is_random"]).loc[("a", 4, False), "mean"] == pytest.approx(expected)
    assert smg.get.learning_curve(adata)["classifier"].unique().tolist() == ["logreg"]
    with pytest.raises(KeyError, match="'forest' did not judge; logreg, knn did"):
        smg.get.learning_curve(adata, classifier="forest")


def test_a_selection_runs_once_a_split_however_long_the_curve_and_gives_prefixes(adata, monkeypatch):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    seen, honest = [], steps.select
    monkeypatch.setattr("smash_gpu.selection.steps.select", lambda *a: seen.append(a) or honest(*a))
    curve = judged(adata, n_genes=[3, 6, 9], n_splits=2)
    assert len(seen) == 2
    assert curve["n_genes"].tolist() == [3, 6, 9] * 2
    panels = smg.get.evaluation_panels(adata)
    assert panels.groupby("split").size().tolist() == [9, 9]
    shorter = judged(adata, n_genes=3, n_splits=2)
    np.testing.assert_array_equal(values(curve, n_genes=3), values(shorter))


def test_a_function_of_ones_own_sees_the_training_cells_only(adata):
    seen = []

    def choose(cells, n_genes):
        seen.append((cells.obs_names.tolist(), n_genes))
        return MIXED[:n_genes]

    table = judged(adata, genes={"mine": choose, "list": MIXED[:4]}, n_genes=[2, 4], n_splits=2, random_state=3)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    parts = list(splits.repeated(codes, n_splits=2, test_fraction=0.3, random_state=3))
    assert seen == [(adata.obs_names[part.train].tolist(), 4) for part in parts]
    np.testing.assert_array_equal(values(table, genes="mine"), values(table, genes="list"))
    with pytest.raises(ValueError, match=r"genes\['short'\] returned 2 different genes where 4"):
        judged(adata, genes={"short": lambda cells, n: ["NOISE20", "NOISE21", "NOISE20"]}, n_genes=4)


def test_nothing_depends_on_the_order_of_genes_in_the_list_or_the_matrix(adata, rng, monkeypatch):
    monkeypatch.setattr("smash_gpu.evaluation.classifiers.N_TREES", 10)
    options = {"n_splits": 1, "thin": 0.5, "dropout": 0.2, "n_random": 1, "classifier": ["knn", "forest"]}
    first = judged(adata, genes=MIXED, **options)
    pd.testing.assert_frame_equal(judged(adata, genes=MIXED[::-1], **options), first)
    shuffled = adata[:, rng.permutation(adata.n_vars)].copy()
    pd.testing.assert_frame_equal(judged(shuffled, genes=MIXED, **options), first)


def test_one_split_and_an_unsorted_list_read_the_right_columns(adata):
    table = judged(adata, genes=MIXED, protocol="paper")
    data = data_of(adata)
    split = next(splits.repeated(data.labels, n_splits=1, test_fraction=0.3, random_state=42))
    X = data.host_expression(np.flatnonzero(adata.var_names.isin(MIXED)))
    predicted = evaluation.predict(X, data.labels, split, scale_on_all=True)
    assert values(table)[0].tolist() == list(evaluation.metrics_of_labels(data.labels[split.test], predicted).values())


def test_nothing_depends_on_the_order_of_cells_but_the_split(adata, rng):
    data, genes = data_of(adata), np.arange(4, 12)
    order = rng.permutation(240)
    place = np.argsort(order)
    split = Split(np.arange(160), np.arange(160, 240))
    moved = Split(np.sort(place[split.train]), np.sort(place[split.test]))
    shuffled = data_of(adata[order].copy())
    for classifier in ("knn", "logreg"):
        how = Judging((classifier,))
        found = evaluation.evaluate(data, lambda _: genes, [split], how=how)
        again = evaluation.evaluate(shuffled, lambda _: genes, [moved], how=how)
        np.testing.assert_array_equal(found.confusions, again.confusions)


@pytest.mark.parametrize("classifier", ["logreg", "forest"])
def test_classifiers_are_those_of_scikit_learn_on_z_of_the_training_cells(rng, classifier):
    group = rng.integers(0, 3, 90) * 2  # a code without cells
    X = (rng.normal(size=(90, 4)) + 0.4 * group[:, None]).astype(np.float32)
    split = Split(np.arange(60), np.arange(60, 90))
    z = np.minimum((X - X[:60].mean(axis=0)) / X[:60].std(axis=0, ddof=1), 10).astype(np.float32)
    model = {
        "logreg": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(100, random_state=4),
    }[classifier]
    expected = model.fit(z[:60], group[:60]).predict(z[60:])
    found = evaluation.predict(X, group, split, scale_on_all=False, classifier=classifier, random_state=4)
    assert (found == expected).mean() >= 29 / 30, "float32 sums may move one cell"
    assert 0 < (found != group[60:]).mean() < 0.9


def test_the_trees_follow_the_seed(rng):
    group, X = rng.integers(0, 3, 90), rng.normal(size=(90, 4)).astype(np.float32)
    split = Split(np.arange(60), np.arange(60, 90))
    first, same, other = (
        evaluation.predict(X, group, split, scale_on_all=False, classifier="forest", random_state=s).tolist()
        for s in (1, 1, 2)
    )
    assert first == same != other


@pytest.mark.parametrize("name", ["knn", "logreg", "forest"])
def test_on_a_device_cuml_is_asked_by_keywords_and_gets_codes_without_gaps(rng, monkeypatch, name):
    """The constructors' keywords stand in for cuML 26.10's own, read from its signatures."""
    known = {
        "knn": {"n_neighbors", "algorithm", "metric", "weights", "p", "n_jobs", "verbose", "output_type"},
        "logreg": {"penalty", "tol", "C", "fit_intercept", "class_weight", "max_iter", "solver", "output_type"},
        "forest": {"n_estimators", "max_depth", "max_features", "n_bins", "random_state", "n_streams", "output_type"},
    }[name]
    seen = {}

    class Fake:
        def __init__(self, **options):
            assert set(options) <= known
            seen.update(options)

        def fit(self, X, y):
            seen["labels"] = (y.dtype, sorted(set(y.tolist())), X.dtype)
            return self

        def predict(self, X):
            return np.ones(len(X), dtype=np.float32)

    places = {
        "knn": ("neighbors", "KNeighborsClassifier"),
        "logreg": ("linear_model", "LogisticRegression"),
        "forest": ("ensemble", "RandomForestClassifier"),
    }
    module = ModuleType(f"cuml.{places[name][0]}")
    setattr(module, places[name][1], Fake)
    monkeypatch.setitem(sys.modules, "cuml", ModuleType("cuml"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    group = np.tile([0, 3, 5], 10)
    X = rng.normal(size=(30, 2)).astype(np.float32)
    split = Split(np.arange(20), np.arange(20, 30))
    found = evaluation.predict(X, group, split, scale_on_all=False, classifier=name, device="cuda", random_state=3)
    assert found.tolist() == [3] * 10
    assert seen.pop("labels") == (np.int32, [0, 1, 2], np.float32)
    assert seen["output_type"] == "numpy"
    assert ("random_state" in seen) == (name == "forest")


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


def test_thinned_counts_keep_their_share_and_are_binomial(adata):
    data = data_of(adata)
    genes = np.array([0, 4, 30])
    counts = adata.X.toarray()
    library = counts.sum(axis=1)
    np.testing.assert_allclose(degrade.library_sizes(data), library)
    kept = []
    for seed in range(60):
        e = degrade.expression(data, genes, 0.3, seed)
        thinned = np.expm1(e) * 0.3 * library[:, None] / 1e4
        assert np.abs(thinned - np.round(thinned)).max() < 1e-3, "whole counts"
        assert (np.round(thinned) <= counts[:, genes]).all()
        kept.append(np.round(thinned))
    kept, n = np.array(kept), counts[:, genes]
    assert kept.sum() / (60 * n.sum()) == pytest.approx(0.3, abs=0.01)
    large = n >= 5
    np.testing.assert_allclose((kept.var(axis=0) / np.maximum(0.3 * 0.7 * n, 1e-9))[large].mean(), 1, atol=0.06)


def test_what_a_thinned_gene_becomes_does_not_depend_on_the_others(adata):
    data = data_of(adata)
    alone = degrade.expression(data, np.array([7]), 0.5, 1)
    together = degrade.expression(data, np.array([3, 7, 20]), 0.5, 1)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])


def test_keeping_every_count_is_the_expression_itself(adata):
    data, genes = data_of(adata), np.array([1, 9])
    np.testing.assert_array_equal(degrade.expression(data, genes, 1.0, 0), data.host_expression(genes))
    nearly = degrade.expression(data, genes, 1 - 1e-12, 0)
    np.testing.assert_allclose(nearly, data.host_expression(genes), rtol=1e-5)


def test_thinning_costs_accuracy_and_needs_counts(adata):
    table = judged(adata, genes=MARKERS, thin=[0.5, 0.05], n_splits=2)
    error = table.groupby("thin")["misclassification"].mean()
    assert error.index.tolist() == [0.05, 0.5, 1.0]
    assert error[0.05] > error[0.5] + 0.1
    counts = adata.X.toarray()
    adata.X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match="thin= draws from raw counts"):
        judged(adata, genes=MARKERS, thin=0.5, normalize=False)
    adata.X = counts * 12.5
    with pytest.raises(ValueError, match="holds fractions"):
        judged(adata, genes=MARKERS, thin=0.5)


def test_failing_genes_read_zero_for_training_and_judging_alike(adata):
    """As if the list had been shorter: a gene that reads zero everywhere tells nothing."""
    data = data_of(adata)
    split = Split(np.arange(160), np.arange(160, 240))
    genes = np.arange(12)
    how = Judging(conditions=(Condition(), Condition(dropout=0.4)), random_state=2)
    found = evaluation.evaluate(data, lambda _: genes, [split], how=how)
    fails = degrade.failed(data.names, 0.4, (2, 1, 0))
    left = genes[~fails[genes]]
    assert 0 < len(left) < 12
    alone = evaluation.evaluate(data, lambda _: left, [split])
    np.testing.assert_array_equal(found.confusions[1], alone.confusions[0])
    names = np.array([f"gene{i}" for i in range(4000)])
    assert degrade.failed(names, 0.2, (0, 1)).mean() == pytest.approx(0.2, abs=0.02)


def test_the_grid_of_conditions_is_complete(adata):
    table = judged(adata, genes=MIXED, thin=[0.5], dropout=[0.1, 0.2], n_splits=1)
    assert list(zip(table["thin"], table["dropout"], strict=True)) == [
        (1, 0), (1, 0.1), (1, 0.2), (0.5, 0), (0.5, 0.1), (0.5, 0.2)
    ]  # fmt: skip


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
    with pytest.raises(KeyError, match="no list 'c'.*a, b"):
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


def test_group_metrics_are_the_plain_loop_over_splits(adata):
    judged(adata, genes=MIXED[:3], n_splits=3, random_state=1)
    data = data_of(adata)
    X = data.host_expression(np.flatnonzero(adata.var_names.isin(MIXED[:3])))
    expected = []
    for split in splits.repeated(data.labels, n_splits=3, test_fraction=0.3, random_state=1):
        predicted = evaluation.predict(X, data.labels, split, scale_on_all=False)
        expected.append([plain_group(data.labels[split.test], predicted, g) for g in range(3)])
    table = smg.get.group_metrics(adata)
    for g, group in enumerate(data.groups):
        for r, name in enumerate(("recall", "precision", "f1")):
            row = table[(table["group"] == group) & (table["metric"] == name)].iloc[0]
            seen = [fold[g][r] for fold in expected]
            assert row["mean"] == pytest.approx(np.mean(seen))
            assert row["min"] == pytest.approx(min(seen))
    assert table.groupby("group", observed=True)["cells"].first().sum() == 3 * 72


def test_a_split_without_cells_of_a_group_says_nothing_about_it():
    confusions = np.array([[[3, 1], [0, 0]], [[4, 0], [2, 2]]])
    table = pd.DataFrame({"n_train": [10, 10], "n_test": [4, 8]})
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
    with pytest.raises(KeyError, match="genes='c'; there is a, b"):
        smg.get.confusion(adata, genes="c")
    with pytest.raises(KeyError, match="Did you mean 'f1_macro'"):
        smg.get.comparison(adata, "f1_macr")


def test_seeds_repeat_the_splits_with_the_following_seeds(adata):
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    assert len(judged(adata, genes=MIXED, n_splits=2, n_seeds=3)) == 6
    samples = adata.obs["sample"].to_numpy()
    twice = list(splits.by_sample(codes, samples, n_splits=2, n_seeds=2, random_state=5))
    again = [s for seed in (5, 6) for s in splits.by_sample(codes, samples, n_splits=2, random_state=seed)]
    for found, expected in zip(twice, again, strict=True):
        np.testing.assert_array_equal(found.test, expected.test)
    assert len(judged(adata, genes=MIXED, n_splits=2, n_seeds=3, sample_key="sample")) == 6
    assert len(judged(adata, genes=MIXED, n_splits=9, n_seeds=3, sample_key="sample")) == 4


def test_unequal_budgets_are_named(adata):
    with pytest.warns(UserWarning, match=r"differ in length \(a 6, b 3\).*n_genes=3"):
        judged(adata, genes={"a": MIXED, "b": MIXED[:3]})
    with pytest.warns(UserWarning, match="no more genes than it holds"):
        table = judged(adata, genes={"a": MIXED, "b": MIXED[:3]}, n_genes=[3, 6], n_splits=1)
    assert table.groupby("genes")["n_genes"].apply(list).to_dict() == {"a": [3, 6], "b": [3]}


BAD = {
    "an unknown classifier": ({"classifier": "svm"}, ValueError, "'svm'.*knn, logreg, forest"),
    "no genes": ({"n_genes": 0}, ValueError, "n_genes=0"),
    "more genes than a list holds": ({"n_genes": 7}, ValueError, r"n_genes=7.*list 6"),
    "no seeds": ({"n_seeds": 0}, ValueError, "n_seeds=0"),
    "thinning to more": ({"thin": 1.5}, ValueError, "thin=1.5"),
    "every gene fails": ({"dropout": 1.0}, ValueError, "dropout=1.0"),
    "fewer than no panels": ({"n_random": -1}, ValueError, "n_random=-1"),
    "no lists": ({"genes": {}}, ValueError, "no list"),
    "an absent gene in one of two lists": ({"genes": {"a": MIXED, "b": ["X"]}}, KeyError, r"genes\['b'\].*'X'"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.evaluate(adata, "cell_type", **{"genes": MIXED} | options)
    assert not adata.uns


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_everything_survives_a_file(adata, tmp_path, suffix):
    import anndata as ad

    judged(adata, genes={"NK/T list": MIXED, "b": NOISE[:6]}, n_genes=[2, 6], n_random=1, thin=0.5)
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    again = getattr(ad, f"read_{suffix}")(path)
    for function in (smg.get.comparison, smg.get.differences, smg.get.group_metrics, smg.get.unresolved_pairs,
                     smg.get.learning_curve, smg.get.evaluation_splits, smg.get.evaluation_panels):  # fmt: skip
        pd.testing.assert_frame_equal(function(again), function(adata), check_dtype=False, check_categorical=False)


def test_names_and_symbols_are_found_in_the_order_of_the_list(adata):
    adata.var["symbol"] = [f"s{i // 2}" for i in range(60)]
    data = data_of(adata, gene_symbols="symbol")
    chosen = smg.tl._choosers.numbers(["s3", "MARKER0X", "s2", "MARKER0X"], data, "genes")
    assert chosen.tolist() == [6, 7, 0, 4, 5]
