"""Group statistics and moments against the loops a biologist would write, wherever the matrix lives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.blocks.fold import stream
from smash_gpu.compute.xp import on_gpu, to_host
from smash_gpu.data import stats
from smash_gpu.data.standardize import mean_std, standardize

TARGET = 1e4


def expression(counts):
    """log1p of counts per 10,000, cell by cell."""
    size = counts.sum(axis=1, keepdims=True)
    return np.log1p(np.divide(TARGET * counts, size, out=np.zeros(counts.shape), where=size > 0))


def some_counts(rng, rate, n_cells=43, n_genes=37):
    counts = rng.poisson(rate, size=(n_cells, n_genes)).astype(np.float64)
    counts[5] = 0  # a cell without counts
    return counts, rng.integers(-1, 4, size=n_cells)  # −1: a cell without a label; group 3 is emptied below


@pytest.mark.parametrize("rate", [0.05, 0.5, 4.0], ids=["rare", "sparse", "dense"])
def test_group_stats_count_every_cell_of_a_group_once(hold, rng, rate):
    counts, group = some_counts(rng, rate)
    group[group == 3] = 2
    e = expression(counts)

    found = stats.group_stats(hold(counts), group, 4, device=hold.device)

    for g, gene in product(range(4), range(counts.shape[1])):
        members = group == g
        assert found.cells[g] == members.sum()
        assert found.detected[g, gene] == (counts[members, gene] > 0).sum()
        assert found.counts[g, gene] == counts[members, gene].sum()
        n_rounded = 0 if hold.device == "cpu" else found.detected[g, gene]  # kernels add integers
        assert found.total[g, gene] == pytest.approx(e[members, gene].sum(), abs=2e-9 * n_rounded + 1e-12)
        assert found.square[g, gene] == pytest.approx((e[members, gene] ** 2).sum(), abs=2e-8 * n_rounded + 1e-12)
    assert found.cells.dtype.kind == found.detected.dtype.kind == "i"


def test_log_normalised_values_are_taken_as_they_are(hold, rng):
    values = np.log1p(rng.poisson(0.5, size=(25, 6))).astype(np.float32)
    found = stats.group_stats(hold(values), np.zeros(25, dtype=int), 1, target_sum=None, device=hold.device)
    np.testing.assert_allclose(found.total[0], values.sum(axis=0, dtype=float), rtol=1e-6)


def test_stored_zeros_are_not_detections():
    block = sparse.csr_matrix((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    found = stats.group_stats(block, np.array([0]), 1)
    assert found.detected.tolist() == [[0, 1]]


def test_duplicate_entries_are_one_value():
    block = sparse.csr_matrix((np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    found = stats.group_stats(block, np.array([0]), 1)
    assert found.detected.tolist() == [[1, 1]]
    np.testing.assert_allclose(found.total, [np.log1p([5000.0, 5000.0])])
    assert block.nnz == 3, "the caller's matrix is left as it was"


def test_merging_two_halves_is_the_whole(rng):
    counts, group = some_counts(rng, 1.0)
    X = sparse.csr_matrix(counts)
    whole = stats.group_stats(X, group, 4)
    first, second = (stats.group_stats(X[part], group[part], 4) for part in (slice(0, 20), slice(20, None)))
    merged = first + second
    np.testing.assert_array_equal(merged.detected, whole.detected)
    np.testing.assert_allclose(merged.total, whole.total, rtol=1e-12)


def test_permuting_cells_changes_no_count_and_relabelling_permutes_rows(rng):
    counts, group = some_counts(rng, 1.0)
    X, order = sparse.csr_matrix(counts), rng.permutation(len(counts))
    found, shuffled = stats.group_stats(X, group, 4), stats.group_stats(X[order], group[order], 4)
    np.testing.assert_array_equal(found.detected, shuffled.detected)
    swapped = stats.group_stats(X, np.where(group >= 0, 3 - group, -1), 4)
    np.testing.assert_array_equal(swapped.total[::-1], found.total)


def test_rest_is_everybody_else_and_std_is_scanpys(rng):
    counts, _ = some_counts(rng, 1.0)
    group = rng.integers(0, 3, len(counts))
    e = expression(counts)
    found = stats.group_stats(sparse.csr_matrix(counts), group, 3)
    np.testing.assert_allclose(found.rest.mean[1], e[group != 1].mean(axis=0))
    np.testing.assert_allclose(found.std[2], e[group == 2].std(axis=0, ddof=1), atol=1e-7)
    np.testing.assert_allclose(found.pooled.std[0], e.std(axis=0, ddof=1), atol=1e-7)


def test_moments_equal_numpy_on_the_chosen_genes_and_cells(hold, rng):
    counts, group = some_counts(rng, 1.0)
    genes = np.array([30, 2, 17, 5])
    e = expression(counts)[group >= 0][:, genes]
    ceiling = np.quantile(e, 0.9, axis=0)
    found = stats.moments(hold(counts), group, genes, ceiling=ceiling, device=hold.device)
    assert on_gpu(found.product) == (hold.device == "cuda")
    correlation, found = to_host(found.correlation), found.to_host()
    cut = np.minimum(e, ceiling)
    np.testing.assert_allclose(found.mean, cut.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(cut.T, bias=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(correlation, np.corrcoef(cut.T), rtol=1e-4, atol=1e-6)


def test_a_gene_that_does_not_vary_correlates_with_nothing():
    found = stats.moments(sparse.csr_matrix(np.ones((6, 3))), np.zeros(6, dtype=int), np.arange(3))
    np.testing.assert_array_equal(found.correlation, np.zeros((3, 3)))


def test_stream_gives_all_cells_in_order(hold, rng):
    counts, _ = some_counts(rng, 1.0)
    numbers = np.arange(len(counts))
    blocks = list(stream(hold(counts), numbers, device=hold.device))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate([part for _, part in blocks]), numbers)
    np.testing.assert_array_equal(np.vstack([to_host(block).toarray() for block, _ in blocks]), counts)


def test_standardize_is_scanpys_scale(rng):
    import scanpy as sc

    X = rng.gamma(0.3, 2, size=(200, 12)).astype(np.float32)
    X[:, 3] = 1.0
    X[0, 4] = 500
    z = standardize(X, *mean_std(X))
    np.testing.assert_allclose(z, sc.pp.scale(X.copy(), max_value=10), rtol=1e-4, atol=1e-5)
    assert z.max() == 10
