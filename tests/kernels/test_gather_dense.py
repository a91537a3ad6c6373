"""gather_dense against its NumPy twin, on the CPU through a shim and on a device."""

from __future__ import annotations

import numpy as np
import pytest
from cases.kernels import TARGET, counts_of
from scipy import sparse

from smash_gpu.compute import ops


@pytest.mark.parametrize("order", [np.asarray, np.sort], ids=["any order", "in order"])
@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (7, 31), (7, 33), (3, 257), (4, 1100)])
def test_gather_dense_equals_its_twin(machine, rng, n_cells, n_genes, target_sum, order):
    X = counts_of(rng, n_cells, n_genes)
    X = X if target_sum else X.log1p()
    genes = order(rng.permutation(n_genes)[: max(n_genes * 2 // 3, 1)])
    found = machine.gather_dense(X, genes, target_sum)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ops.gather_dense(X, genes, target_sum), rtol=2e-7)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_dense_twin_of_every_type(machine, rng, dtype, index):
    X, genes = counts_of(rng, 9, 150, dtype=dtype), rng.permutation(150)[:101]
    found = machine.gather_dense(X, genes, TARGET, index=index)
    np.testing.assert_allclose(found, ops.gather_dense(X, genes, TARGET), rtol=2e-7)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 255, 256, 300])
def test_gather_dense_twin_clears_what_lies_between_the_values_of_a_warp(machine, rng, length):
    """Cells of about a multiple of the 128 values that a warp writes at a time, and columns before and after them."""
    counts = np.zeros((3, 900), dtype=np.float32)
    genes = np.sort(rng.permutation(np.arange(100, 800))[:length])
    for cell, chosen in enumerate((genes, genes[: length // 2], genes)):
        counts[cell, chosen] = rng.integers(1, 60, len(chosen))
    X = sparse.csr_matrix(counts)
    for wanted in (np.arange(900), np.arange(3, 900, 7), genes):
        found = machine.gather_dense(X, wanted, TARGET)
        np.testing.assert_allclose(found, ops.gather_dense(X, wanted, TARGET), rtol=2e-7)


@pytest.mark.parametrize(("n_cells", "n_genes", "chosen"), [(0, 4, 2), (3, 4, 0), (33, 4, 4)])
def test_gather_dense_twin_where_there_is_nothing(machine, n_cells, n_genes, chosen):
    X, genes = sparse.csr_matrix((n_cells, n_genes), dtype=np.float32), np.arange(chosen)
    np.testing.assert_array_equal(machine.gather_dense(X, genes, TARGET), np.zeros((n_cells, chosen)))


@pytest.mark.parametrize("order", [np.asarray, np.sort], ids=["any order", "in order"])
def test_gather_dense_cuts_each_gene_at_its_own_ceiling(machine, rng, order):
    X, genes, ceiling = counts_of(rng, 40, 30), order(rng.permutation(30)[:17]), np.linspace(-0.5, 6, 17)
    cut = machine.gather_dense(X, genes, TARGET, ceiling=ceiling)
    assert (cut[:, 0] == -0.5).all(), "zeros too"
    np.testing.assert_allclose(cut, ops.gather_dense(X, genes, TARGET, ceiling=ceiling), rtol=2e-7)
