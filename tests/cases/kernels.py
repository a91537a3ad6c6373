"""Machines that run kernels, and blocks to give them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from emu import emulator
from scipy import sparse

from smash_gpu.compute import cuda, ops
from smash_gpu.compute.xp import to_host
from smash_gpu.data import stats

TARGET = 1e4
LARGE = 20.0
H100_SHARED_BYTES = 227 * 1024
H100_MULTIPROCESSORS = 132


class Machine:
    """Where kernels run: NumPy arrays and the shim, or CuPy arrays and a device."""

    def __init__(self, xp):
        self.xp = xp

    def block(self, X, index=np.int32, **parts):
        """A CSR matrix as its kernels see it, with indices of the type asked for."""
        parts = {"data": X.data, "indices": X.indices.astype(index), "indptr": X.indptr.astype(index)} | parts
        return SimpleNamespace(shape=X.shape, **{name: self.xp.asarray(part) for name, part in parts.items()})

    def group_stats(self, X, group, n_groups, target_sum, **options):
        found = cuda.group_stats(self.block(X, **options), self.xp.asarray(group), n_groups, target_sum)
        return stats.GroupStats(*map(to_host, found))

    def value_checks(self, X, **options):
        return tuple(map(to_host, cuda.value_checks(self.block(X, **options), LARGE)))

    def library_sizes(self, X, **options):
        return to_host(cuda.library_sizes(self.block(X, **options)))

    def gather_dense(self, X, genes, target_sum, *, index=np.int32, **vectors):
        return to_host(cuda.gather_dense(self.block(X, index), genes, target_sum, **vectors))


def shim(monkeypatch, **libraries):
    found = Machine(np)
    found.emulator = emulator.Emulator(**libraries)
    monkeypatch.setattr(cuda, "launch", found.emulator.launch)
    monkeypatch.setattr(cuda, "shared_memory", lambda: H100_SHARED_BYTES)
    monkeypatch.setattr(cuda, "multiprocessors", lambda: H100_MULTIPROCESSORS)
    return found


def divide(patch, genes=16):
    """Three warps a thread block, tiles of some genes, runs of 7 cells: every border is met."""
    patch.setattr(cuda, "GROUP_STATS_THREADS", 96)
    patch.setattr(cuda, "shared_memory", lambda: 3 * cuda.BYTES_PER_WARP + genes * cuda.BYTES_PER_GENE)
    patch.setattr(cuda, "CELLS_PER_RUN", 7)
    patch.setattr(cuda, "FEWEST_CELLS_PER_RUN", 7)


def counts_of(rng, n_cells, n_genes, *, rate=0.4, dtype=np.float32):
    """Counts with empty cells, counts above 32, one cell that expresses every gene, and stored zeros."""
    counts = rng.poisson(rate, (n_cells, n_genes)) * rng.choice([1, 1, 1, 50], (n_cells, n_genes))
    counts[::5] = 0
    if n_cells > 1:
        counts[1] = rng.integers(1, 40, n_genes)
    X = sparse.csr_matrix(counts.astype(dtype))
    X.data[::7] = 0
    return X


def sums_agree(found, X, group, n_groups, target_sum):
    """Integers equal, sums within the rounding of fixed point and of the additions of float64."""
    expected = stats.GroupStats(*ops.group_stats(X, group, n_groups, target_sum))
    of_fraction, of_e, of_square = cuda.fixed_point_scales(X.shape[0], target_sum)
    for name in ("cells", "detected"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype.kind == "i"
    if np.all(X.data == np.floor(X.data)):
        np.testing.assert_array_equal(found.counts, expected.counts)
    else:
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-14, atol=0.5 / of_fraction * X.shape[0])
    for name, scale in (("total", of_e), ("square", of_square)):
        values, bound = getattr(expected, name), 0.5 / scale * expected.detected
        assert np.all(np.abs(getattr(found, name) - values) <= bound + 1e-14 * np.abs(values)), name


def checks_agree(found, X):
    """Numbers equal, and the sums that the twin knows too; those of expm1 are made for cells with fractions."""
    numbers, sums = ops.value_checks(X, LARGE)
    np.testing.assert_array_equal(found[0], numbers)
    known = ~np.isnan(sums[0])
    np.testing.assert_allclose(found[1][0][known], sums[0][known], rtol=1e-12)
    assert (np.isnan(found[1][1]) == (found[0][3] == 0)).all()
    known &= found[0][3] > 0
    np.testing.assert_allclose(found[1][1][known], sums[1][known], rtol=1e-5)
