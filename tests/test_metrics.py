"""Other tools' metrics: equal to the originals' own numbers (benchmarks/peers_original.py) and to plain loops."""

import json
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import normalized_mutual_info_score
from sklearn.tree import DecisionTreeClassifier

import smash_gpu as smg
from smash_gpu.annotated.read import read
from smash_gpu.evaluation.peers import correlation, forest, neighbours, nsforest

ORIGINAL = json.loads((Path(__file__).parent / "data" / "peers.json").read_text())
PANELS = ORIGINAL["panels"]
FEW = settings(max_examples=40, deadline=None)


@pytest.fixture
def cells(adata):
    """The cells that the originals saw."""
    found = adata.X.sum(), (adata.X.toarray() * np.arange(1, 61)).sum()
    expected = ORIGINAL["cells"]
    assert found == (expected["sum"], expected["weighted"]), "other cells than the frozen numbers are of: freeze again"
    return adata


@pytest.fixture
def data(cells):
    return read(cells, {"groupby": "cell_type"})


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


@pytest.mark.parametrize("panel", PANELS)
def test_spapros_numbers_are_its_own(cells, panel):
    metrics = ("knn_overlap", "marker_corr", "gene_corr")
    smg.tl.spapros_metrics(
        cells, "cell_type", genes={panel: PANELS[panel]}, markers=ORIGINAL["listed"], metrics=metrics
    )
    found = smg.get.spapros_metrics(cells).loc[panel]
    expected = {name: v for name, v in ORIGINAL["spapros"][panel].items() if name.startswith(metrics)}
    assert found.to_dict() == pytest.approx(expected, abs=2e-5)
    assert set(found.index) == set(expected)


@pytest.mark.parametrize("panel", ["mixed", "noise"])
def test_forest_clfs_is_spapros_own(data, panel):
    X = sparse.csr_matrix(data.host_expression(np.array([list(data.names).index(g) for g in PANELS[panel]])))
    summary, confusion, order = forest.forest_clfs(X, data.labels)
    expected = ORIGINAL["spapros"][panel]
    assert list(data.groups[order]) == expected["confusion"]["groups"]
    tolerance = 1e-6 if version("xgboost-cpu") == ORIGINAL["versions"]["xgboost-cpu"] else 0.02
    np.testing.assert_allclose(confusion, expected["confusion"]["rows"], atol=tolerance)
    for name, value in summary.items():
        assert value == pytest.approx(expected[name], abs=tolerance)


def test_forest_clfs_leaves_out_small_groups_and_gives_chance_on_random_labels(rng):
    X = sparse.csr_matrix(rng.poisson(1.0, (220, 5)).astype(np.float32))
    group = rng.permutation(np.repeat([0, 1, 2], [90, 100, 30]))
    summary, confusion, order = forest.forest_clfs(X, group, n_seeds=1)
    assert sorted(order) == [0, 1]
    assert confusion.shape == (2, 2)
    assert summary["forest_clfs accuracy"] == pytest.approx(0.5, abs=0.15)
    with pytest.raises(ValueError, match="at least 40 cells"):
        forest.forest_clfs(X, np.repeat([0, 1], [190, 30]))


def test_cluster_similarity_is_spapros_own():
    original = ORIGINAL["cluster_similarity"]
    ours, whole = ({int(n): labels for n, labels in original[name].items()} for name in ("panel", "all"))
    summary, nmi = neighbours.cluster_similarity(ours, whole)
    assert summary == pytest.approx(original["summary"])
    expected = pd.Series({int(n): np.nan if v is None else v for n, v in original["nmi"].items()})
    np.testing.assert_allclose(nmi.to_numpy(), expected.to_numpy())


def test_leiden_clusterings_are_spapros_own(data):
    """Up to the processor: a last digit of a principal component can move single cells to another cluster."""
    pytest.importorskip("igraph", reason="Leiden clustering needs igraph, which the tests do not ask for")
    original = {int(n): labels for n, labels in ORIGINAL["cluster_similarity"]["panel"].items()}
    panel = np.array([list(data.names).index(gene) for gene in PANELS["large"]])
    found = neighbours.leiden_clusterings(neighbours.space(data.host_expression(panel)))
    common = [n for n in original if n in found and 5 <= n <= 60]
    assert len(common) > 0.9 * sum(5 <= n <= 60 for n in original)
    similarity = [normalized_mutual_info_score(found[n], original[n]) for n in common]
    assert np.mean(similarity) > 0.95
    other = {int(n): labels for n, labels in ORIGINAL["cluster_similarity"]["all"].items()}
    elsewhere = [normalized_mutual_info_score(found[n], other[n]) for n in common if n in other]
    assert np.mean(elsewhere) < 0.75, "the same cells in another space cluster differently"


def test_the_search_finds_every_number_that_a_resolution_gives(monkeypatch):
    calls = []

    def cluster(resolution):
        calls.append(resolution)
        return np.arange(100) % max(1, min(100, round(10 * resolution)))

    monkeypatch.setattr(neighbours, "_leiden", lambda _: cluster)
    found = neighbours.leiden_clusterings(np.zeros((100, 2)))
    assert set(range(5, 61)) <= set(found)
    assert all(len(np.unique(labels)) == n for n, labels in found.items())
    assert len(calls) < 200


@pytest.mark.parametrize("n", [1, 90])
def test_the_search_ends_where_no_resolution_gives_five_or_sixty_clusters(monkeypatch, n):
    monkeypatch.setattr(neighbours, "_leiden", lambda _: lambda _: np.arange(100) % n)
    assert set(neighbours.leiden_clusterings(np.zeros((100, 2)))) == {n}


def plain_overlap(points, reference, k):
    def nearest(X, i):
        d = ((X - X[i]) ** 2).sum(axis=1)
        return set([j for j in np.argsort(d, kind="stable") if j != i][: k - 1])

    return np.mean([len(nearest(points, i) & nearest(reference, i)) / (k - 1) for i in range(len(points))])


def test_the_overlap_of_neighbours_is_the_plain_loop(rng):
    points, reference = rng.normal(size=(2, 60, 4))
    summary, curve = neighbours.knn_overlap(points, reference)
    for k in neighbours.KS:
        assert curve[k] == pytest.approx(plain_overlap(points, reference, k))
    between = np.interp(range(5, 31), curve.index, curve)
    assert summary["knn_overlap mean_overlap_AUC"] == pytest.approx(between.mean())
    assert neighbours.knn_overlap(points, points)[0]["knn_overlap mean_overlap_AUC"] == 1


def test_equal_cells_are_no_neighbours_and_do_not_crash(rng):
    points = np.repeat(rng.normal(size=(2, 3)), 40, axis=0)
    index, distance = neighbours.neighbours(points, 29)
    assert index.shape == distance.shape == (80, 29)
    assert (index != np.arange(80)[:, None]).all()
    assert neighbours.knn_overlap(points, rng.normal(size=(80, 3)))[0]["knn_overlap mean_overlap_AUC"] == 0


def test_many_cells_are_searched_by_descent_with_scanpys_settings(rng, monkeypatch):
    """A stand-in with the interface of pynndescent, whose compilation takes a minute; 0.7.0 itself found over 95 %."""
    points = rng.normal(size=(60, 5)).astype(np.float32)
    exact, distance = neighbours.neighbours(points, 14)
    asked = {}

    class NNDescent:
        def __init__(self, X, **options):
            asked.update(options, n=len(X))
            itself = np.arange(60)[:, None]
            self.neighbor_graph = np.hstack([itself, exact]), np.hstack([0 * itself, distance])

    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=NNDescent))
    monkeypatch.setattr(neighbours, "CELLS_FOR_APPROXIMATION", 50)
    found, far = neighbours.neighbours(points, 14)
    np.testing.assert_array_equal(found, exact)
    np.testing.assert_array_equal(far, distance)
    assert asked == {"n": 60, "n_neighbors": 15, "metric": "euclidean", "random_state": 0}


def test_the_space_of_a_large_panel_is_its_principal_components(rng):
    X = rng.normal(size=(80, 60)) @ np.diag(np.linspace(3, 0.1, 60))
    found = neighbours.space(sparse.csr_matrix(X.astype(np.float32)))
    u, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    assert found.shape == (80, 50)
    np.testing.assert_allclose(found @ found.T, (u * s)[:, :50] @ (u * s)[:, :50].T, atol=1e-2)
    small = rng.normal(size=(80, 9))
    np.testing.assert_array_equal(neighbours.space(small), small)


def test_sparse_expression_is_the_expression(data, hold):
    genes = np.array([5, 3, 40])
    found = neighbours.sparse_expression(replace(data, matrix=hold(data.matrix)), genes)
    np.testing.assert_allclose(found.toarray(), data.host_expression(genes), rtol=1e-6)


def test_correlations_are_numpys_whatever_the_container(data, hold):
    genes = np.array([0, 7, 33, 21])
    X = data.host_expression(genes).astype(np.float64)
    held = replace(data, matrix=hold(data.matrix))
    found, mean = correlation.correlation(held, genes)
    np.testing.assert_allclose(found, np.corrcoef(X, rowvar=False), atol=1e-6)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-6)


def test_gene_corr_is_the_plain_loop():
    r = np.array([[1, 0.82, -0.1], [0.82, 1, -0.78], [-0.1, -0.78, 1]])
    found = correlation.gene_corr(r)
    assert found["gene_corr 1 - mean"] == pytest.approx(1 - (0.82 + 0.1 + 0.78) / 3)
    steps = [(0.85 - 0.82) / 0.1, (0.85 - 0.82) / 0.1, (0.85 - 0.78) / 0.1]
    assert found["gene_corr perct max < 0.8"] == pytest.approx(np.mean(steps))
    constant = np.array([[1, 0.5, np.nan], [0.5, 1, np.nan], [np.nan] * 3])
    found = correlation.gene_corr(constant)
    assert found["gene_corr 1 - mean"] == 0.5
    assert found["gene_corr perct max < 0.8"] == 1


def test_marker_corr_is_the_plain_loop():
    r = np.array([[0.9, 0.2], [0.1, -0.4], [0.3, 0.3], [np.nan, np.nan]])
    mean = np.array([1.0, 0.02, 0.5, 1.0])
    markers = {"a": np.array([0, 1]), "b": np.array([2, 3])}
    found = correlation.marker_corr(r, mean, markers)
    assert found["marker_corr per marker"] == pytest.approx((0.9 + 0.1 + 0.3) / 3)
    assert found["marker_corr per celltype"] == pytest.approx((0.9 + 0.3) / 2)
    assert found["marker_corr per marker mean > 0.025"] == pytest.approx((0.9 + 0.3) / 2)


def test_a_constant_gene_has_no_correlation(cells):
    X = cells.X.toarray()
    X[:, 30] = 0
    cells.X = sparse.csr_matrix(X)
    data = read(cells, {"groupby": "cell_type"})
    found, _ = correlation.correlation(data, np.array([3, 30]))
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert found[0, 0] == pytest.approx(1)


def test_panels_side_by_side_are_what_they_are_alone_and_survive_a_file(cells, tmp_path):
    import anndata as ad

    options = {"metrics": ["knn_overlap", "gene_corr"]}
    smg.tl.spapros_metrics(cells, "cell_type", genes={"a / b": PANELS["mixed"], "n": PANELS["noise"]}, **options)
    smg.tl.nsforest_metrics(cells, "cell_type", markers=ORIGINAL["markers"])
    both = smg.get.spapros_metrics(cells)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(smg.get.spapros_metrics(again), both)
    pd.testing.assert_frame_equal(smg.get.nsforest_metrics(again), smg.get.nsforest_metrics(cells))
    smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["noise"], **options)
    np.testing.assert_allclose(smg.get.spapros_metrics(cells).loc["list"], both.loc["n"])


def test_a_reference_of_some_genes_is_used(cells):
    cells.var["few"] = cells.var_names.isin(PANELS["mixed"])
    smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["mixed"], metrics=["knn_overlap"], mask_var="few")
    assert smg.get.spapros_metrics(cells).iloc[0, 0] == pytest.approx(1)


GENES = {"genes": PANELS["mixed"]}
BAD = {
    "an unknown metric": (smg.tl.spapros_metrics, GENES | {"metrics": ["gene_cor"]}, ValueError, "'gene_corr'"),
    "no markers": (smg.tl.spapros_metrics, GENES | {"metrics": ["marker_corr"]}, ValueError, "pass markers="),
    "no column": (smg.tl.spapros_metrics, GENES | {"metrics": ["gene_corr"], "mask_var": "hv"}, KeyError, "'hv'"),
    "an absent gene": (smg.tl.spapros_metrics, {"genes": ["X"], "metrics": ["gene_corr"]}, KeyError, "'X'"),
    "no selection": (smg.tl.nsforest_metrics, {}, KeyError, "tl.smash.*markers="),
    "no such group": (smg.tl.nsforest_metrics, {"markers": {"CD4 T": ["MARKER0X"]}}, KeyError, r"'CD4\+ T'"),
    "no markers at all": (smg.tl.nsforest_metrics, {"markers": {}}, ValueError, "no group has any"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(cells, function, options, kind, message):
    with pytest.raises(kind, match=message):
        function(cells, "cell_type", **options)
    assert not cells.uns


def test_cluster_similarity_without_igraph_says_so_before_any_work(cells, monkeypatch):
    monkeypatch.setattr("smash_gpu.tl._peers.find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install igraph"):
        smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["mixed"])
