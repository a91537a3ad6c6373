"""Cells for tests: the places where users keep a matrix, planted markers, and the shared real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from smash_gpu import datasets

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
SHARED = Path(os.environ.get("SMASH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
SHARED_SETS = sorted(p.stem for p in SHARED.glob("*.h5ad"))


def backed(matrix, path):
    ad.AnnData(matrix).write_h5ad(path / "matrix.h5ad")
    return ad.read_h5ad(path / "matrix.h5ad", backed="r").X


def in_zarr(matrix, path):
    import zarr

    group = zarr.open_group(path / "matrix.zarr", mode="w")
    ad.io.write_elem(group, "X", matrix)
    return ad.io.sparse_dataset(group["X"]) if sparse.issparse(matrix) else group["X"]


def in_dask(matrix, rows):
    import dask.array as da

    blocks = [matrix[i : i + rows] for i in range(0, matrix.shape[0], rows)]
    arrays = [da.from_array(b, chunks=-1, asarray=False) for b in blocks]
    return da.concatenate(arrays, axis=0)


def with_int64_indices(matrix):
    matrix = matrix.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def on_device(matrix):
    cupyx = pytest.importorskip("cupyx.scipy.sparse")
    return cupyx.csr_matrix(matrix.astype(np.float32))


class Kind(Flag):
    """What a container is. A test opts out by it: ``@pytest.mark.container(skip=Kind.DISK | Kind.DASK)``."""

    SPARSE = auto()
    DENSE = auto()
    DISK = auto()
    DASK = auto()
    DEVICE = auto()
    STAND_IN = auto()


@dataclass(frozen=True)
class Container:
    """Where users keep a matrix: ``put(matrix, folder)`` takes a CSR matrix there."""

    name: str
    put: Callable[[sparse.csr_matrix, Path], Any]
    kind: Kind

    def parameter(self):
        needs_device = Kind.DEVICE in self.kind and Kind.STAND_IN not in self.kind
        return pytest.param(self, id=self.name, marks=[pytest.mark.gpu] * needs_device)


def on_stand_in(matrix, _):
    from strict_cupy import DeviceCsr

    return DeviceCsr(matrix)


CONTAINERS = (
    Container("numpy", lambda m, _: m.toarray(), Kind.DENSE),
    Container("csr_matrix", lambda m, _: m, Kind.SPARSE),
    Container("csr_array", lambda m, _: sparse.csr_array(m), Kind.SPARSE),
    Container("csc_matrix", lambda m, _: m.tocsc(), Kind.SPARSE),
    Container("int64_indices", lambda m, _: with_int64_indices(m), Kind.SPARSE),
    Container("h5ad_csr", backed, Kind.SPARSE | Kind.DISK),
    Container("h5ad_csc", lambda m, path: backed(m.tocsc(), path), Kind.SPARSE | Kind.DISK),
    Container("h5ad_dense", lambda m, path: backed(m.toarray(), path), Kind.DENSE | Kind.DISK),
    Container("zarr_csr", in_zarr, Kind.SPARSE | Kind.DISK),
    Container("zarr_dense", lambda m, path: in_zarr(m.toarray(), path), Kind.DENSE | Kind.DISK),
    Container("dask_csr", lambda m, _: in_dask(m, 7), Kind.SPARSE | Kind.DASK),
    Container("dask_dense", lambda m, _: in_dask(m.toarray(), 11), Kind.DENSE | Kind.DASK),
    Container("cupy_csr", lambda m, _: on_device(m), Kind.SPARSE | Kind.DEVICE),
    Container("stand_in_csr", on_stand_in, Kind.SPARSE | Kind.DEVICE | Kind.STAND_IN),
)
PUT = {container.name: container.put for container in CONTAINERS}


# anndata takes seconds to write the many small tables of a result into a zarr store
SLOW_ZARR = pytest.param("zarr", marks=pytest.mark.slow, id="zarr")
PLANTED = datasets.N_MARKERS


class Counted(sparse.csr_matrix):
    """A matrix that counts how often each of its cells is read."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.reads = np.zeros(self.shape[0], dtype=int)

    def __getitem__(self, cells):
        self.reads[cells[0] if isinstance(cells, tuple) else cells] += 1
        return sparse.csr_matrix(super().__getitem__(cells))

    @property
    def passes(self):
        """How often all of it was read; none of it more often than the rest."""
        assert self.reads.min() == self.reads.max()
        return int(self.reads[0])


def planted(rng, **options):
    """`smash_gpu.datasets.planted` with the columns that most tests need, and no others."""
    adata = datasets.planted(random_state=rng, **options)
    del adata.obs["batch"], adata.var["marker_of"]
    return adata
