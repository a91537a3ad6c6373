"""Neighbour and clustering metrics against plain loops and the originals' numbers."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cases.peers import ORIGINAL, PANELS
from scipy import sparse
from sklearn.metrics import normalized_mutual_info_score

from smash_gpu.evaluation.peers import neighbours


def test_cluster_similarity_is_spapros_own():
    original = ORIGINAL["cluster_similarity"]
    ours, whole = ({int(n): labels for n, labels in original[name].items()} for name in ("panel", "all"))
    summary, nmi = neighbours.cluster_similarity(ours, whole)
    assert summary == pytest.approx(original["summary"])
    expected = pd.Series({int(n): np.nan if v is None else v for n, v in original["nmi"].items()})
    np.testing.assert_allclose(nmi.to_numpy(), expected.to_numpy())


@pytest.mark.slow
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

    monkeypatch.setattr(neighbours, "leiden", lambda _: cluster)
    found = neighbours.leiden_clusterings(np.zeros((100, 2)))
    assert set(range(5, 61)) <= set(found)
    assert all(len(np.unique(labels)) == n for n, labels in found.items())
    assert len(calls) < 200


@pytest.mark.parametrize("n", [1, 90])
def test_the_search_ends_where_no_resolution_gives_five_or_sixty_clusters(monkeypatch, n):
    monkeypatch.setattr(neighbours, "leiden", lambda _: lambda _: np.arange(100) % n)
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
