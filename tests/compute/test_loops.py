"""The compiled loops against the same in NumPy, and against what a loop over cells gives."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from cases.kernels import TARGET, counts_of
from scipy import sparse

from smash_gpu.blocks import sizes
from smash_gpu.blocks.fold import fold, stream
from smash_gpu.compute import loops, ops
from smash_gpu.data.stats import Moments

pytest.importorskip("numba", reason="the loops need Numba; without it NumPy does the same")
pytestmark = pytest.mark.slow  # to compile
TYPES = [(np.float32, np.int32), (np.float64, np.int64), (np.uint8, np.int32)]


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def compiled(request, monkeypatch):
    """Compiled whatever the size, by this number of threads."""
    monkeypatch.setattr(loops, "cores", lambda: request.param)

    def call(function, *arguments, **more):
        with monkeypatch.context() as here:
            here.setattr(loops, "FEWEST_VALUES", 0)
            return function(*arguments, **more)

    return call


def block_of(rng, dtype=np.float32, index=np.int32, *, fractions=False):
    X = counts_of(rng, 60, 45)
    X.data = (X.data * (1.5 if fractions else 1) % 250).astype(dtype)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def same(found, wanted):
    for one, two in zip(found, wanted, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("dtype", "index"), TYPES)
def test_sums_are_those_of_numpy(compiled, rng, dtype, index, target_sum):
    X, group = block_of(rng, dtype, index), rng.integers(-1, 4, 60)
    same(compiled(ops.group_stats, X, group, 5, target_sum), ops.group_stats(X, group, 5, target_sum))


def test_sums_of_one_group_are_those_of_a_loop_over_its_cells(compiled, rng):
    X, group = block_of(rng, fractions=True), rng.integers(0, 3, 60)
    cells, detected, counts, total, square = compiled(ops.group_stats, X, group, 3, TARGET)
    for c in range(3):
        dense = X[group == c].toarray().astype(float)
        e = np.log1p(TARGET * dense / dense.sum(axis=1, keepdims=True).clip(1e-300))
        assert cells[c] == len(dense)
        np.testing.assert_array_equal(detected[c], (dense > 0).sum(axis=0))
        for found, values in ((counts, dense), (total, e), (square, e**2)):
            np.testing.assert_allclose(found[c], values.sum(axis=0), rtol=1e-12)


def test_the_number_of_threads_changes_no_bit(rng, monkeypatch):
    X, group = block_of(rng, fractions=True), rng.integers(-1, 4, 60)
    monkeypatch.setattr(loops, "FEWEST_VALUES", 0)
    found = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(loops, "cores", lambda threads=threads: threads)
        found.append(ops.group_stats(X, group, 4, TARGET))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("dtype", "index"), TYPES)
def test_dense_expression_is_that_of_numpy(compiled, rng, dtype, index, target_sum):
    X, genes = block_of(rng, dtype, index), rng.permutation(45)[:31]
    ceiling = np.linspace(0, 8, 31)
    for more in ({}, {"ceiling": ceiling}):
        found = compiled(ops.gather_dense, X, genes, target_sum, **more)
        same([found], [ops.gather_dense(X, genes, target_sum, **more)])


def test_kinds_of_values_are_those_of_numpy(compiled, rng):
    X = block_of(rng, np.float64, fractions=True)
    X.data[rng.permutation(X.nnz)[:40]] = [np.nan, np.inf, -np.inf, -1.0, -0.5, 0.0, 20.0, 20.5] * 5
    found, wanted = (call(ops.value_checks, X, 20.0) for call in (compiled, lambda f, *a: f(*a)))
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (3, 5)])
def test_blocks_without_values(compiled, shape):
    X, group = sparse.csr_matrix(shape, dtype=np.float32), np.zeros(shape[0], dtype=int)
    same(compiled(ops.group_stats, X, group, 2, TARGET), ops.group_stats(X, group, 2, TARGET))
    assert compiled(ops.gather_dense, X, np.arange(shape[1]), TARGET).shape == shape


def test_small_blocks_do_not_wait_for_numba(rng):
    assert not loops.pay_off(counts_of(rng, 60, 45))


@pytest.mark.parametrize("in_dask", [False, True], ids=["memory", "dask"])
def test_the_length_of_the_pass_decides_and_not_the_size_of_its_blocks(rng, monkeypatch, in_dask):
    X = counts_of(rng, 60, 45)
    monkeypatch.setattr(sizes, "CELLS_PER_BLOCK", 15)
    whole = pytest.importorskip("dask.array").from_array(X, chunks=(15, 45), asarray=False) if in_dask else X
    for fewest, pays in ((0.5 * X.nnz, True), (2 * X.nnz, False)):
        monkeypatch.setattr(loops, "FEWEST_VALUES", fewest)
        found = []
        fold(whole, lambda block: found.append(loops.pay_off(block)) or Moments(block.nnz, 0, np.zeros(1)))  # noqa: B023
        assert found == [pays] * 4
        assert [loops.pay_off(block) for (block,) in stream(X)] == [False] * 4
        step = partial(stream, whole, step=lambda block: np.full(1, loops.pay_off(block)))
        assert np.concatenate(list(step())).tolist() == [pays] * 4


def test_numbers_that_numba_does_not_know_are_left_to_numpy(compiled, rng):
    X, group = block_of(rng, np.longdouble), rng.integers(-1, 4, 60)
    for what, *more in ((ops.group_stats, group, 4, TARGET), (ops.value_checks, 20.0)):
        same(compiled(what, X, *more), what(X, *more))
