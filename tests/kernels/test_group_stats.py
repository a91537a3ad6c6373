"""group_stats against its NumPy twin, on the CPU through a shim and on a device.

What only a GPU can show, speed and the memory model, is for `benchmarks.gpu` and compute-sanitizer.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from cases.kernels import TARGET, counts_of, divide, sums_agree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from smash_gpu.compute import cuda
from smash_gpu.compute.xp import to_host


@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (33, 1), (31, 32), (32, 33), (65, 31), (6, 1100)])
def test_group_stats_equal_their_twin(machine, rng, n_cells, n_genes, target_sum):
    X = counts_of(rng, n_cells, n_genes)
    X = X if target_sum else X.log1p()
    group = rng.integers(-1, 4, n_cells)
    group[group == 2] = 3  # an empty group
    sums_agree(machine.group_stats(X, group, 4, target_sum), X, group, 4, target_sum)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_group_stats_twin_in_tiles_and_runs(machine, monkeypatch, rng, dtype, index):
    """Groups of several runs, of one and of none; genes of several tiles, in cells of one to 200 values."""
    divide(monkeypatch)
    X = counts_of(rng, 36, 200, dtype=dtype)
    group = np.repeat([0, 2, -1, 0, 1], [15, 3, 2, 9, 7])
    sums_agree(machine.group_stats(X, group, 4, TARGET, index=index), X, group, 4, TARGET)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 33, 100, 400])
def test_group_stats_twin_where_the_genes_of_a_cell_lie_close_together(machine, monkeypatch, rng, length):
    """Tiles begin far from where they would if the genes of the cell were spread evenly."""
    divide(monkeypatch, genes=160)
    counts = np.zeros((5, 1000), dtype=np.float32)
    for cell, first in enumerate((0, 1000 - length, 155, 163, 500)):
        counts[cell, first : first + length] = rng.integers(1, 4, length)
    X, group = sparse.csr_matrix(counts), np.array([0, 1, 0, 1, 1])
    sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)


@pytest.mark.parametrize(
    ("X", "group", "n_groups"),
    [
        (sparse.csr_matrix((0, 5), dtype=np.float32), [], 2),
        (sparse.csr_matrix((3, 0), dtype=np.float32), [0, 1, 0], 2),
        (sparse.csr_matrix((40, 5), dtype=np.float32), [0] * 40, 1),
        (sparse.csr_matrix(np.ones((3, 4), dtype=np.float32)), [-1, -1, -1], 2),
        (sparse.csr_matrix(np.ones((1, 3), dtype=np.float32)), [0], 1),
    ],
    ids=["no cells", "no genes", "no values", "all left out", "one cell"],
)
def test_group_stats_twin_where_there_is_nothing(machine, X, group, n_groups):
    group = np.array(group, dtype=int)
    sums_agree(machine.group_stats(X, group, n_groups, TARGET), X, group, n_groups, TARGET)


def test_group_stats_twin_with_more_groups_than_cells(machine, rng):
    X, group = counts_of(rng, 30, 12), rng.integers(0, 500, 30)
    sums_agree(machine.group_stats(X, group, 500, TARGET), X, group, 500, TARGET)


def test_fractional_counts_have_sums(machine, rng):
    X = counts_of(rng, 24, 20, dtype=np.float64)
    X.data += rng.random(X.nnz)
    group = rng.integers(0, 2, 24)
    sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)


def test_the_largest_counts_neither_overflow_nor_round(machine):
    """Every value as large as it may be: all of a cell's counts in one gene, up to 2³¹ − 1."""
    X = sparse.csr_matrix(np.full((70, 1), 2.0**31 - 1))
    found = machine.group_stats(X, np.zeros(70, dtype=int), 1, TARGET)
    assert found.counts[0, 0] == 70 * (2**31 - 1)
    sums_agree(found, X, np.zeros(70, dtype=int), 1, TARGET)


def test_values_may_lie_beyond_two_to_the_31(machine, tmp_path):
    """One cell at the end of arrays of 2³¹ + 8 values; on the CPU they are files of holes."""
    n = 2**31 + 8
    data, indices = (
        np.memmap(tmp_path / t, dtype=t, mode="w+", shape=n) if machine.xp is np else machine.xp.zeros(n, dtype=t)
        for t in ("float32", "int64")
    )
    data[-3:], indices[-3:] = machine.xp.array([1, 2, 3]), machine.xp.array([0, 2, 4])
    indptr = machine.xp.array([n - 3, n])
    block = SimpleNamespace(shape=(1, 5), data=data, indices=indices, indptr=indptr)
    _, _, counts, total, _ = map(to_host, cuda.group_stats(block, machine.xp.zeros(1, dtype=int), 1, 6.0))
    assert counts.tolist() == [[1, 0, 2, 0, 3]]
    np.testing.assert_allclose(total, np.log1p([[1, 0, 2, 0, 3]]))
    dense = to_host(cuda.gather_dense(block, np.array([4, 2]), None))
    assert dense.tolist() == [[3, 2]]


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 2.0**31])
def test_values_out_of_range_make_sums_nan(machine, value):
    X = sparse.csr_matrix(np.array([[1.0, value], [2.0, 3.0]], dtype=np.float32))
    found = machine.group_stats(X, np.array([0, 1]), 2, TARGET)
    assert np.isnan(found.counts).all() and np.isnan(found.total).all() and np.isnan(found.square).all()


def test_logarithms_may_be_negative_but_not_large(machine):
    X = sparse.csr_matrix(np.array([[-1.5, 127.0, -127.0, -15.5]] * 9, dtype=np.float32))
    found = machine.group_stats(X, np.zeros(9, dtype=int), 1, None)
    assert (found.total / 9).tolist() == [[-1.5, 127.0, -127.0, -15.5]]
    assert (found.square / 9).tolist() == [[2.25, 16129.0, 16129.0, 240.25]]
    assert found.detected.tolist() == [[0, 9, 0, 0]]
    X.data[1] = 128
    assert np.isnan(machine.group_stats(X, np.array([0]), 1, None).total).all()


@given(st.integers(1, 2**31), st.floats(1e-3, 1e9))
def test_fixed_point_cannot_overflow_and_wastes_at_most_two_bits(n_cells, target_sum):
    fraction, *of_e = cuda.fixed_point_scales(n_cells, target_sum)
    assert 2**60.99 < fraction * n_cells <= 2**62
    for scale, largest in zip(of_e, (np.log1p(target_sum), np.log1p(target_sum) ** 2), strict=True):
        assert 2**30.99 < scale * largest < 2**32 - 1, "an amount fits a word, so 2³⁰ cells fit a sum"


def test_values_are_rounded_by_less_than_float32_would():
    _, of_e, of_square = cuda.fixed_point_scales(10**6, TARGET)
    assert 0.5 / of_e < 2e-9
    assert 0.5 / of_square < 2e-8


@pytest.mark.slow
def test_a_group_of_more_cells_than_fit_in_shared_memory_at_once(machine, monkeypatch, rng):
    """5,000 cells in one run, each with the largest count whose integer part is summed in shared memory."""
    monkeypatch.setattr(cuda, "GROUP_STATS_THREADS", 96)
    monkeypatch.setattr(cuda, "CELLS_PER_RUN", 10**6)
    monkeypatch.setattr(cuda, "multiprocessors", lambda: 1)
    X = sparse.csr_matrix(np.column_stack([np.full(5000, 1023.0), rng.integers(0, 3, 5000)]).astype(np.float32))
    group = np.repeat([0, 1], [4500, 500])
    sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**20), n_cells=st.integers(0, 12), n_genes=st.integers(1, 70), n_groups=st.integers(1, 5),
       rate=st.sampled_from([0.02, 0.5, 3.0]), tiles=st.booleans())  # fmt: skip
def test_group_stats_twin_on_any_block(machine, monkeypatch, seed, n_cells, n_genes, n_groups, rate, tiles):
    rng = np.random.default_rng(seed)
    X = counts_of(rng, n_cells, n_genes, rate=rate)
    group = rng.integers(-1, n_groups, n_cells)
    with monkeypatch.context() as patch:
        if tiles:
            divide(patch)
        sums_agree(machine.group_stats(X, group, n_groups, TARGET), X, group, n_groups, TARGET)
