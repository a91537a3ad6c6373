"""value_checks against its NumPy twin, on the CPU through a shim and on a device."""

from __future__ import annotations

import numpy as np
import pytest
from cases.kernels import checks_agree, counts_of
from scipy import sparse

from smash_gpu.compute import ops


def fractions(X, rng):
    X = X.copy()
    X.data += rng.random(X.nnz).astype(X.dtype) * (rng.random(X.nnz) < 0.1)
    return X


@pytest.mark.parametrize("change", [lambda X, _: X, lambda X, _: X.log1p(), fractions], ids=["counts", "logs", "both"])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (33, 1), (31, 33), (6, 1100)])
def test_value_checks_equal_their_twin(machine, rng, n_cells, n_genes, change):
    X = change(counts_of(rng, n_cells, n_genes), rng)
    checks_agree(machine.value_checks(X), X)
    np.testing.assert_allclose(machine.library_sizes(X), ops.library_sizes(X), rtol=1e-12)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_checks_twin_of_every_type(machine, rng, dtype, index):
    X = fractions(counts_of(rng, 20, 150, dtype=dtype), rng)
    checks_agree(machine.value_checks(X, index=index), X)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (40, 5)])
def test_value_checks_twin_where_there_is_nothing(machine, shape):
    X = sparse.csr_matrix(shape, dtype=np.float32)
    checks_agree(machine.value_checks(X), X)
    np.testing.assert_array_equal(machine.library_sizes(X), np.zeros(shape[0]))


def test_values_that_no_count_can_be_are_counted(machine):
    X = sparse.csr_matrix(np.array([[1, np.nan, np.inf, -np.inf], [-1.5, 21, 20, 0], [2, 0, 0, 3]], dtype=np.float32))
    numbers, sums = machine.value_checks(X)
    assert numbers.tolist() == [[4, 3, 2], [3, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert sums[0][1:].tolist() == [39.5, 5]


def test_library_sizes_that_are_given_change_nothing(machine, rng):
    """And are used: half of them, and e is that of twice the counts."""
    X, group, genes = counts_of(rng, 20, 30), np.zeros(20, dtype=int), np.arange(30)
    block, sizes = machine.block(X), machine.library_sizes(X)
    from smash_gpu.compute import cuda

    given = cuda.group_stats(block, group, 1, 1e4, library_size=machine.xp.asarray(sizes))
    for found, expected in zip(given, cuda.group_stats(block, group, 1, 1e4), strict=True):
        assert (found == expected).all()
    half = cuda.gather_dense(block, genes, 1e4, library_size=machine.xp.asarray(sizes / 2))
    assert (half == cuda.gather_dense(block, genes, 2e4)).all()
