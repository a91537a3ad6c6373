"""The parts of ``python -m benchmarks gpu`` that need no GPU."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from benchmarks import gpu, gpu_streams


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


@pytest.mark.slow
def test_streams_give_a_line_with_the_time_of_every_stage_and_the_same_markers(monkeypatch, tmp_path):
    """Here on the CPU, from a few cells that are repeated; an h5ad file, a zarr store and host memory hold the same."""
    for name, value in {"GENES": 300, "DETECTED": 40, "CLASSES": 3, "SAMPLES": 2}.items():
        monkeypatch.setattr(gpu, name, value)
    sizes = ["--host", "600", "--h5ad", "600", "--zarr", "600", "--distinct", "300"]
    options = gpu.parse([*sizes, "--stream-model", "xgboost", "--folder", str(tmp_path), "--cells"])
    rows = list(gpu.streams(np, options, device="cpu"))
    assert not [row for row in rows if "failed" in row]
    selected = [row for row in rows if "to markers" in row["what"]]
    assert [row["what"].partition(" to ")[0] for row in selected] == ["host memory", "h5ad file", "zarr file"]
    for row in selected:
        assert row["cells"] == 600
        assert {"statistics", "expression"} <= set(row["stages_s"]) <= set(gpu_streams.STAGES)
        assert 0 < sum(row["stages_s"].values()) <= row["wall_s"]
        assert row["accuracy"] == selected[0]["accuracy"]
    assert all(0 < row["file_gb"] < 1e-2 for row in rows if "file" in row["what"])
    assert not list(tmp_path.iterdir())


def test_a_stream_that_fails_is_a_line(monkeypatch):
    def from_host(*_, **__):
        raise MemoryError("3 GiB")
        yield

    monkeypatch.setattr(gpu_streams, "from_host", from_host)
    rows = list(gpu.streams(np, gpu.parse(["--host", "5"]), device="cpu"))
    assert rows == [{"cells": 5, "what": "host memory to markers", "failed": "MemoryError: 3 GiB"}]


def test_without_a_device_it_says_so():
    from smash_gpu.compute.xp import cupy

    if cupy is not None and cupy.is_available():
        pytest.skip("there is a device")
    with pytest.raises(RuntimeError, match="device='cuda'"):
        gpu.main(["--cells", "10"])
