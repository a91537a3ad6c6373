"""The parts of ``python -m benchmarks gpu`` that need no GPU."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from benchmarks import gpu


def test_bytes_are_those_of_the_arrays(rng):
    X = sparse.random(50, 40, density=0.2, format="csr", dtype=np.float32, random_state=rng)
    problem = gpu.Problem(50, 40, X.nnz)
    assert problem.matrix_bytes == X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    tables = np.zeros((4, 3, 40))
    assert problem.group_stats_bytes(3) == problem.matrix_bytes + 50 * 8 + tables.nbytes
    assert problem.gather_dense_bytes(7) == problem.matrix_bytes + np.zeros((50, 7), dtype=np.float32).nbytes
    wide = gpu.Problem(50, 40, X.nnz, value_bytes=8, index_bytes=8)
    assert wide.matrix_bytes == 2 * problem.matrix_bytes - 51 * 4 * 2 + 51 * 8


def test_synthetic_counts_are_canonical_with_the_density_and_markers_asked_for(rng, monkeypatch):
    monkeypatch.setattr(gpu, "CELLS_PER_CHUNK", 100)  # chunks that do not divide the cells
    rate = gpu.rates(rng, 400, 6, 30)
    group = rng.integers(0, 6, 450)
    data, indices, indptr = gpu.counts(np, rate, group, 1)
    X = sparse.csr_matrix((data, indices, indptr), shape=(450, 400))
    assert (data.dtype, indices.dtype, indptr.dtype) == (np.float32, np.int32, np.int32)
    assert X.has_canonical_format
    assert X.data.min() == 1 and np.all(X.data == np.floor(X.data))
    assert X.nnz / 450 == pytest.approx(30, rel=0.3)
    found = np.array([(X[group == c] > 0).mean(axis=0).A1 for c in range(6)])
    np.testing.assert_allclose(found, rate, atol=0.35)
    assert ((rate == np.float32(gpu.MARKER_RATE)).sum(axis=1) == gpu.MARKERS_PER_CLASS).all()


def test_the_same_seed_gives_the_same_counts(rng):
    rate, group = gpu.rates(rng, 50, 3, 10), rng.integers(0, 3, 20)
    first, again, other = (gpu.counts(np, rate, group, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first[1], again[1])
    assert len(other[1]) != len(first[1]) or (other[1] != first[1]).any()


def test_a_stages_line_holds_its_share_of_a_copy():
    row = gpu.rate_of("x", 2 * 10**9, {"median_s": 0.001}, 4000)
    assert row["gb_per_s"] == pytest.approx(2000)
    assert row["share_of_copy"] == pytest.approx(0.5)


def test_a_stage_that_fails_is_a_line_and_the_next_one_runs(monkeypatch):
    def kernels(*_):
        yield {"what": "group_stats"}
        raise MemoryError("12 GiB")

    monkeypatch.setattr(gpu, "matrix", lambda *_: ([None], np.zeros(7), np.zeros(7)))
    monkeypatch.setattr(gpu, "kernels", kernels)
    monkeypatch.setattr(gpu, "aggregate", lambda *_: [])
    monkeypatch.setattr(gpu, "pipeline", lambda *_: {"what": "smash"})
    rows = list(gpu.stages(None, 7, gpu.parse(["--models", "rf"]), 1.0))
    assert rows == [
        {"cells": 7, "what": "group_stats"},
        {"cells": 7, "what": "kernels", "failed": "MemoryError: 12 GiB"},
        {"cells": 7, "what": "smash"},
    ]


def test_arguments():
    options = gpu.parse(["--cells", "1000", "0", "--models", "xgboost", "--json", "x.jsonl"])
    assert options.cells == [1000, 0]
    assert options.models == ["xgboost"]
    assert gpu.parse([]).cells == [100_000, 1_000_000, 0]


def test_without_a_device_it_says_so():
    from smash_gpu.compute.xp import cupy

    if cupy is not None and cupy.is_available():
        pytest.skip("there is a device")
    with pytest.raises(RuntimeError, match="device='cuda'"):
        gpu.main(["--cells", "10"])
