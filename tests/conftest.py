"""Fixtures: where users keep their matrices, synthetic cells with planted markers, and the shared real data."""

from __future__ import annotations

import os
from importlib.util import find_spec

import anndata as ad
import numpy as np
import pytest
from cells import CONTAINERS, PLACES, SHARED, on_device, planted
from scipy import sparse


@pytest.fixture(params=[*PLACES, "stand_in_csr"])
def hold(request, tmp_path, monkeypatch):
    """A function that puts a CSR matrix where users keep theirs, cut into blocks of ten cells; its ``device`` is where
    to compute. ``stand_in_csr`` is a device that is not there (`strict_cupy`).
    """
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10)
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 10)
    if request.param.endswith(("stand_in_csr", "cupy_csr")):
        return _on_device(request.param, monkeypatch)
    if request.param.startswith("dask"):
        pytest.importorskip("dask.array")
    put = CONTAINERS[request.param]

    def place(matrix):
        from smash_gpu.blocks.readers import by_rows

        return by_rows(put(sparse.csr_matrix(matrix).astype(np.float32), tmp_path))

    place.device = "cpu"
    return place


def _on_device(which, monkeypatch):
    def place(matrix):
        return put(sparse.csr_matrix(matrix).astype(np.float32))

    if which == "stand_in_csr":
        import strict_cupy

        strict_cupy.install(monkeypatch)
        put = strict_cupy.DeviceCsr
    else:
        put = on_device
    place.device = "cuda"
    return place


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def adata(rng):
    """240 cells × 60 genes in three groups, three planted markers each."""
    return planted(rng)


@pytest.fixture
def shared():
    """Reads one of the annotated sets beside the checkout, or skips and says so."""

    def read(name):
        path = SHARED / f"{name}.h5ad"
        if not path.exists():
            pytest.skip(f"shared data set {name} is not at {SHARED}")
        return ad.read_h5ad(path)

    return read


def _has_device():
    from smash_gpu.compute.xp import cupy

    return cupy is not None and cupy.is_available()


def _has_cuda_packages():
    return all(find_spec(name) for name in ("cupy", "cuml", "rapids_singlecell", "torch", "xgboost"))


NEEDS = {
    "gpu": (_has_device, "SMASH_GPU_REQUIRED", "no CUDA device"),
    "contract": (_has_cuda_packages, "SMASH_CONTRACTS_REQUIRED", "the CUDA packages are not installed"),
}


def pytest_runtest_setup(item):
    for mark, (is_there, required, absent) in NEEDS.items():
        if item.get_closest_marker(mark) and not is_there():
            if os.environ.get(required) == "1":
                pytest.fail(f"{required}=1, but {absent}")
            pytest.skip(absent)
