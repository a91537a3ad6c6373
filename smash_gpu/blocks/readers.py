"""One reader per kind of matrix: from a slice of cells to a CSR block in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSRDataset
from scipy import sparse

from smash_gpu.blocks import sizes as block_sizes
from smash_gpu.compute.xp import as_float, device_sparse, on_gpu
from smash_gpu.io import hdf5, integrity, matrices
from smash_gpu.io.stack import Stack
from smash_gpu.runtime.cluster import is_dask


def reader(X: Any, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    """A function from a slice of cells to their block, in memory; for one pass over ``X``.

    ``offsets`` are those of `matrices.row_offsets`, if they were read already.
    """
    read = _named(X, offsets)
    return lambda cut: as_csr(read(cut))


def _named(X: Any, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    return integrity.naming_errors(X, rows(X, offsets))


@singledispatch
def rows(X: Any, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    """A function from a slice of cells to their rows as ``X`` has them; one ``register`` per kind of matrix."""
    if is_dask(X):
        return lambda cut: X[cut].compute()
    if on_gpu(X):
        return (lambda cut: _device_rows(X, cut)) if device_sparse.issparse(X) else X.__getitem__
    raise TypeError(
        f"cannot read a matrix of type {type(X).__module__}.{type(X).__name__}. Use NumPy, SciPy CSR or CSC, "
        "CuPy, a backed or zarr AnnData matrix, or a Dask array of CSR blocks."
    )


@rows.register(np.ndarray | h5py.Dataset)
def _(X: Any, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    return X.__getitem__


@rows.register(sparse.csr_matrix | sparse.csr_array)
def _(X: Any, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    return partial(_host_rows, X) if type(X) in (sparse.csr_matrix, sparse.csr_array) else X.__getitem__


@rows.register
def _(X: zarr.Array, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    read = hdf5.array_reader(X)
    return lambda cut: read(cut.start, cut.stop)


@rows.register
def _(X: CSRDataset, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    ends = matrices.row_offsets(X) if offsets is None else offsets
    assert ends is not None, "a CSRDataset holds them"
    values, columns = (hdf5.array_reader(X.group[name]) for name in ("data", "indices"))

    def read(cut: slice) -> sparse.csr_matrix:
        starts = ends[cut.start : cut.stop + 1].astype(np.int64)
        whole = int(starts[0]), int(starts[-1])
        genes = columns(*whole)
        if (np.diff(starts) < 0).any() or (len(genes) and (genes.min() < 0 or genes.max() >= X.shape[1])):
            raise ValueError(f"row offsets decrease, or column numbers lie beyond the {X.shape[1]:,} genes")
        parts = (
            matrices.computable(values(*whole)),
            genes.astype(np.int32, copy=False),
            (starts - whole[0]).astype(np.int32),
        )
        return sparse.csr_matrix(parts, shape=(len(starts) - 1, X.shape[1]))

    return read


@rows.register
def _(X: Stack, offsets: np.ndarray | None = None) -> Callable[[slice], Any]:
    return partial(X.block, reads=[_named(part) for part in X.matrices])


def by_rows(X: Any, folder: Path | None = None) -> Any:
    """``X`` in an order that can be cut by cells: CSC is converted once, a file's CSC on disk, after a warning.

    ``folder`` keeps the converted matrix for later runs; None: a temporary folder.
    """
    if is_dask(X):
        return X if X.numblocks[1] == 1 else X.rechunk({0: block_sizes.CELLS_PER_BLOCK, 1: X.shape[1]})
    return X.tocsr() if _is_device_sparse(X) else matrices.rows_first(X, folder)


def as_csr(block: Any) -> Any:
    """``block`` as canonical CSR: no duplicate entries, sorted within rows."""
    if on_gpu(block):
        block = as_float(block)
        block = block if device_sparse.issparse(block) else device_sparse.csr_matrix(block)
    elif not sparse.issparse(block):
        block = sparse.csr_matrix(matrices.computable(np.asarray(block)))
    block = block.tocsr()
    if not block.has_canonical_format:  # synchronises the first time
        block = block.copy()
        block.sum_duplicates()
    return block


def _is_device_sparse(X: Any) -> bool:
    return device_sparse is not None and device_sparse.issparse(X)


def _host_rows(X: Any, cut: slice) -> Any:
    """A slice of a SciPy CSR matrix that shares its values.

    SciPy's own slicing copies them, and so does its constructor, where a view is less than half of the array.
    """
    first, last = X.indptr[cut.start], X.indptr[cut.stop]
    block = type(X)((cut.stop - cut.start, X.shape[1]), dtype=X.dtype)
    block.data, block.indices = X.data[first:last], X.indices[first:last]
    block.indptr = X.indptr[cut.start : cut.stop + 1] - first
    return block


def _device_rows(X: Any, cut: slice) -> Any:
    """A slice of a CuPy CSR matrix that shares its values, which CuPy's own slicing copies."""
    first, last = (int(X.indptr[row]) for row in (cut.start, cut.stop))  # synchronises
    indptr = X.indptr[cut.start : cut.stop + 1] - first
    parts = X.data[first:last], X.indices[first:last], indptr
    block = device_sparse.csr_matrix(parts, (len(indptr) - 1, X.shape[1]))  # synchronises
    if X.has_canonical_format:  # synchronises once per matrix; for the block it would once per block
        block.has_canonical_format = True
    return block
