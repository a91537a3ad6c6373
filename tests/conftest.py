"""Fixtures: where users keep their matrices, synthetic cells with planted markers, and the shared real data."""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import find_spec

import smash_gpu as smg  # before NumPy: its threads do not spin

# isort: split
import anndata as ad
import numpy as np
import pandas as pd
import pytest
import strict_cupy
from cells import CONTAINERS, SHARED, Container, Kind, planted
from hypothesis import settings
from scipy import sparse

pytest.register_assert_rewrite("cases")
settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")


@pytest.fixture(params=[container.parameter() for container in CONTAINERS])
def hold(request, tmp_path, monkeypatch):
    """A function that puts a CSR matrix where users keep theirs, cut into blocks of ten cells; its ``device`` is where
    to compute. ``stand_in_csr`` is a device that is not there (`strict_cupy`).
    """
    container = request.param
    for name in ("CELLS_PER_BLOCK", "CELLS_PER_DEVICE_BLOCK"):
        monkeypatch.setattr(f"smash_gpu.blocks.sizes.{name}", 10)
    if Kind.DASK in container.kind:
        pytest.importorskip("dask.array")
    if Kind.STAND_IN in container.kind:
        strict_cupy.install(monkeypatch)

    def place(matrix):
        held = container.put(sparse.csr_matrix(matrix).astype(np.float32), tmp_path)
        if Kind.DEVICE in container.kind:
            return held
        from smash_gpu.blocks.readers import by_rows

        return by_rows(held)

    place.device = "cuda" if Kind.DEVICE in container.kind else "cpu"
    return place


def pytest_collection_modifyitems(config, items):
    """Leave out the containers that a test opts out of, by what they are."""
    left_out = [item for item in items if _opts_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """What was imported stays to the end: without this, every ``gc.collect`` of the package goes through all of it."""
    gc.collect()
    gc.freeze()


def _opts_out(item):
    mark = item.get_closest_marker("container")
    container = item.callspec.params.get("hold") if hasattr(item, "callspec") else None
    return mark is not None and isinstance(container, Container) and bool(container.kind & mark.kwargs["skip"])


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


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


@pytest.fixture
def two_columns(adata):
    """With sub-types of the first type."""
    fine = adata.obs["cell_type"].astype(str)
    high = np.asarray(adata.X[:, 40].todense()).ravel() > 0
    adata.obs["fine"] = pd.Categorical(np.where((fine == "A") & high, "A/2", fine))
    return adata


@pytest.fixture
def designed(two_columns):
    smg.tl.panel(
        two_columns, ["cell_type", "fine"], n_genes=12, include=["NOISE30"], max_transcripts=40.0, min_markers=2,
        pair_weights={("A", "CD4+ T"): 2.0}, class_weights={"B / b": 2.0}, exclude=["NOISE31"],
    )  # fmt: skip
    return two_columns


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """The folder for temporary files, empty before."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def counts(rng):
    return sparse.csr_matrix(rng.poisson(0.7, (60, 40)).astype(np.float32))
