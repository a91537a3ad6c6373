"""Two verbs over the cells of a matrix, wherever it lives: ``fold`` sums a state, ``stream`` walks in order.

A block is a canonical CSR matrix of consecutive cells × all genes. Where a matrix is cut into blocks is up to
`cuts.row_cuts`, which bounds memory and keeps a block's non-zeros below 2³¹. While one block is computed on, threads
read and decode the next ones. Where memory does not do for a block, ``fold`` halves it, says so, and goes on.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from functools import partial, reduce, singledispatch
from operator import iadd
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from smash_gpu import cuts, distributed
from smash_gpu.ahead import Ahead
from smash_gpu.compute.device import enough_memory, release_memory
from smash_gpu.compute.xp import as_float, device_sparse, on_gpu, place, to_host
from smash_gpu.distributed import is_dask
from smash_gpu.io import hdf5, integrity
from smash_gpu.io.csc_to_csr import by_cells
from smash_gpu.io.stack import Stack
from smash_gpu.runtime.progress import track

BLOCKS_PER_TASK = 4  # of this size, for a Dask cluster
SPARSE = 0.25  # of the values: two numbers each are then fewer bytes


def track_cells(blocks: list[slice]) -> Iterator[slice]:
    """Iterate over ``blocks`` with a bar that counts cells."""
    return track(blocks, "reading", unit=" cells", size=lambda cut: cut.stop - cut.start)


def fold(X: Any, step: Callable, *per_cell: np.ndarray, device: str = "cpu") -> Any:
    """Sum ``step(block, *parts)`` over all blocks of ``X``.

    Parameters
    ----------
    X
        Cells × genes: NumPy, SciPy or CuPy matrix, backed AnnData matrix, HDF5 or zarr array, Dask array of those.
    step
        Maps one CSR block, in the memory of ``device``, and its part of each ``per_cell`` to an ``Additive``.
    per_cell
        Arrays of one value a cell, on the host.
    """
    if is_dask(X):
        fold_blocks = partial(_fold_blocks, step=step, device=device)
        return distributed.total(X, fold_blocks, per_cell, BLOCKS_PER_TASK * cuts.cells_per_block(X, device))
    return _fold_here(X, *per_cell, step=step, device=device, walk=track_cells)


def _fold_here(X: Any, *per_cell: np.ndarray, step: Callable, device: str, walk: Callable = iter) -> Any:
    blocks = list(cuts.row_cuts(X, device))
    with Ahead(reader(X), blocks) as read:

        def part(cut: slice, *per_cell: np.ndarray) -> Any:
            return step(place(read(cut), device), *(v[cut] for v in per_cell))

        return reduce(iadd, (in_halves(part, cut, *per_cell) for cut in walk(blocks)))


def stream(X: Any, *per_cell: np.ndarray, step: Callable | None = None, device: str = "cpu") -> Iterator[Any]:
    """The blocks of ``X`` in order: ``(CSR block in the memory of device, *parts of per_cell)``.

    Parameters
    ----------
    step
        Maps a block and its parts to an array that is handed on in their place. Of a Dask array only that leaves the
        workers, so that what is not needed is not sent.
    """
    if is_dask(X):
        yield from _stream_dask(X, step, device, per_cell)
        return
    for here in _stream_here(X, *per_cell, device=device, walk=track_cells):
        yield here if step is None else step(*here)


def _stream_here(X: Any, *per_cell: np.ndarray, device: str, walk: Callable = iter) -> Iterator[tuple]:
    blocks = list(cuts.row_cuts(X, device))
    with Ahead(reader(X), blocks) as read:
        for cut in walk(blocks):
            yield place(read(cut), device), *(v[cut] for v in per_cell)


def in_halves(step: Callable, cut: slice, *per_cell: np.ndarray) -> Any:
    """``step(cut, *per_cell)``, or the sum over the halves of ``cut`` where memory does not do for all of it.

    Raises
    ------
    MemoryError
        If it does not do for a single cell.
    """
    n_cells = cut.stop - cut.start
    try:
        with enough_memory(
            f"{n_cells:,} cell{'s' * (n_cells > 1)} at once", "Use a device with more memory, or device='cpu'."
        ):
            return step(cut, *per_cell)
    except MemoryError as error:
        if n_cells == 1:
            raise
        warnings.warn(f"{error.args[0].partition('. ')[0]}: going on with half as many.", stacklevel=2)
    gc.collect()  # since Python 3.12 the error lies in a cycle, and its traceback holds the arrays of the whole block
    release_memory()
    middle = cut.start + n_cells // 2
    return in_halves(step, slice(cut.start, middle), *per_cell) + in_halves(step, slice(middle, cut.stop), *per_cell)


def reader(X: Any) -> Callable[[slice], Any]:
    """A function from a slice of cells to their block, in memory; for one pass over ``X``."""
    read = _reader(X)
    return lambda cut: as_csr(read(cut))


@singledispatch
def _reader(X: Any) -> Callable[[slice], Any]:
    if is_dask(X):
        return lambda cut: X[cut].compute()
    if on_gpu(X):
        return (lambda cut: _device_rows(X, cut)) if device_sparse.issparse(X) else X.__getitem__
    raise TypeError(
        f"a matrix of type {type(X).__module__}.{type(X).__name__} cannot be read. Use NumPy, SciPy CSR or CSC, "
        "CuPy, a backed or zarr AnnData matrix, or a Dask array of CSR blocks."
    )


@_reader.register(np.ndarray)
@_reader.register(sparse.csr_matrix)
@_reader.register(sparse.csr_array)
@_reader.register(h5py.Dataset)
@_reader.register(zarr.Array)
def _(X: Any) -> Callable[[slice], Any]:
    return integrity.telling(X, X.__getitem__)


@_reader.register(CSRDataset)
def _(X: Any) -> Callable[[slice], Any]:
    ends = hdf5.reader(X.group["indptr"])(0, X.shape[0] + 1)
    values, columns = (hdf5.reader(X.group[name]) for name in ("data", "indices"))

    def read(cut: slice) -> sparse.csr_matrix:
        starts = ends[cut.start : cut.stop + 1].astype(np.int64)
        whole = int(starts[0]), int(starts[-1])
        genes = columns(*whole)
        if (np.diff(starts) < 0).any() or (len(genes) and (genes.min() < 0 or genes.max() >= X.shape[1])):
            raise ValueError(f"row offsets fall, or columns lie beyond the {X.shape[1]:,} genes: it is damaged")
        parts = values(*whole), genes.astype(np.int32, copy=False), (starts - whole[0]).astype(np.int32)
        return sparse.csr_matrix(parts, shape=(len(starts) - 1, X.shape[1]))

    return integrity.telling(X, read)


@_reader.register(Stack)
def _(X: Stack) -> Callable[[slice], Any]:
    return partial(X.block, reads=[_reader(part) for part in X.matrices])


def by_rows(X: Any, folder: Path | None = None) -> Any:
    """``X`` in an order that can be cut by cells: CSC is converted once, a file's CSC on disk, after a warning.

    ``folder`` keeps what was converted for later runs; None: a temporary one.
    """
    if isinstance(X, CSCDataset):
        return by_cells(X, folder)
    if isinstance(X, Stack):
        return X.map(partial(by_rows, folder=folder))
    if is_dask(X):
        return X if X.numblocks[1] == 1 else X.rechunk({0: cuts.CELLS_PER_BLOCK, 1: X.shape[1]})
    return X.tocsr() if sparse.issparse(X) or _is_device_sparse(X) else X


def as_csr(block: Any) -> Any:
    """``block`` as canonical CSR: no duplicate entries, sorted within rows."""
    if on_gpu(block):
        block = as_float(block)
        block = block if device_sparse.issparse(block) else device_sparse.csr_matrix(block)
    elif not sparse.issparse(block):
        block = sparse.csr_matrix(np.asarray(block))
    block = block.tocsr()
    if not block.has_canonical_format:  # synchronises where a device has not been asked before
        block = block.copy()
        block.sum_duplicates()
    return block


def _is_device_sparse(X: Any) -> bool:
    return device_sparse is not None and device_sparse.issparse(X)


def _device_rows(X: Any, cut: slice) -> Any:
    """A slice of a CuPy CSR matrix that shares its values, which CuPy's own slicing copies."""
    first, last = (int(X.indptr[row]) for row in (cut.start, cut.stop))  # synchronises
    indptr = X.indptr[cut.start : cut.stop + 1] - first
    parts = X.data[first:last], X.indices[first:last], indptr
    block = device_sparse.csr_matrix(parts, (len(indptr) - 1, X.shape[1]))  # synchronises
    if X.has_canonical_format:  # synchronises, once a matrix; of the block it would once a block
        block.has_canonical_format = True
    return block


def _fold_blocks(blocks: distributed.Blocks, *per_cell: np.ndarray, step: Callable, device: str) -> Any:
    return reduce(iadd, (_fold_here(*part, step=step, device=device) for part in _loaded(blocks, per_cell))).to_host()


def _stream_dask(X: Any, step: Callable | None, device: str, per_cell: tuple[np.ndarray, ...]) -> Iterator[Any]:
    walk = partial(_packed_blocks, step=step, device=device) if step else partial(_stream_blocks, step=_as_it_is)
    for parts in distributed.in_order(X, walk, per_cell, cuts.cells_per_block(X, device)):
        for part in parts:
            yield place(_unpacked(part), device) if step else (place(part[0], device), *part[1:])


def delayed_parts(X: Any, *per_cell: np.ndarray, step: Callable, device: str = "cpu") -> list[tuple[slice, Any]]:
    """The cells of each task of a Dask array, and ``step(block, *parts of per_cell)`` of them as one delayed array."""
    walk = partial(_joined_blocks, step=step, device=device)
    return distributed.tasks(X, walk, per_cell, BLOCKS_PER_TASK * cuts.cells_per_block(X, device))


def _joined_blocks(blocks: distributed.Blocks, *per_cell: np.ndarray, step: Callable, device: str) -> np.ndarray:
    return np.concatenate(_stream_blocks(blocks, *per_cell, step=step, device=device))


def _as_it_is(*block_and_parts: Any) -> tuple:
    return block_and_parts


def _packed_blocks(blocks: distributed.Blocks, *per_cell: np.ndarray, step: Callable, device: str) -> list:
    """Arrays that are mostly zero are sent as CSR: expression is, and the way to the client is narrow."""
    found = _stream_blocks(blocks, *per_cell, step=step, device=device)
    return [sparse.csr_matrix(a) if a.ndim == 2 and np.count_nonzero(a) < SPARSE * a.size else a for a in found]


def _unpacked(part: Any) -> np.ndarray:
    return part.toarray() if sparse.issparse(part) else part


def _stream_blocks(blocks: distributed.Blocks, *per_cell: np.ndarray, step: Callable, device: str = "cpu") -> list:
    parts = _loaded(blocks, per_cell)
    return [to_host(step(*here)) for part in parts for here in _stream_here(*part, device=device)]


def _loaded(blocks: distributed.Blocks, per_cell: tuple[np.ndarray, ...]) -> Iterator[tuple]:
    with Ahead(lambda number: as_csr(blocks[number]), range(len(blocks))) as load:
        for number, cut in enumerate(blocks.cuts):
            yield load(number), *(v[cut] for v in per_cell)
