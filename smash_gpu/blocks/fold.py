"""Two verbs over the cells of a matrix, wherever it lives: ``fold`` sums a state, ``stream`` walks in order.

A block is a canonical CSR matrix of consecutive cells × all genes. Where a matrix is cut into blocks is up to
`sizes.row_cuts`, which bounds memory and keeps a block's non-zeros below 2³¹. While one block is computed on, threads
read and decode the next ones. If a block does not fit in memory, ``fold`` warns, halves it and continues.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial, reduce
from operator import iadd
from typing import Any

import numpy as np
from scipy import sparse

from smash_gpu.blocks import dask
from smash_gpu.blocks import sizes as block_sizes
from smash_gpu.blocks.prefetch import prefetched
from smash_gpu.blocks.readers import as_csr, reader
from smash_gpu.compute import loops
from smash_gpu.compute.device import enough_memory, is_out_of_memory, release_memory
from smash_gpu.compute.xp import place, to_host
from smash_gpu.errors import warn
from smash_gpu.io.matrices import row_offsets
from smash_gpu.runtime.cluster import is_dask
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
        Arrays of one value per cell, on the host.
    """
    if is_dask(X):
        fold_chunks = partial(_fold_chunks, step=step, device=device, n_cells=X.shape[0])
        return dask.total(X, fold_chunks, per_cell, BLOCKS_PER_TASK * block_sizes.cells_per_block(X, device))
    with loops.part_of(X.shape[0]):
        return _fold_here(X, *per_cell, step=step, device=device, walk=track_cells)


def _fold_here(X: Any, *per_cell: np.ndarray, step: Callable, device: str, walk: Callable = iter) -> Any:
    read, cuts = _ready(X, device)

    def ahead(cut: slice) -> list:
        try:
            return [read(cut)]
        except Exception as error:
            if is_out_of_memory(error):
                return []  # is read again below, and in halves if there is still no memory for it
            raise

    def part(ready: list, cut: slice, *per_cell: np.ndarray) -> Any:
        return step(place(ready.pop() if ready else read(cut), device), *(v[cut] for v in per_cell))

    with closing(prefetched(ahead, cuts)) as blocks:
        return reduce(iadd, (in_halves(partial(part, next(blocks)), cut, *per_cell) for cut in walk(cuts)))


def stream(X: Any, *per_cell: np.ndarray, step: Callable | None = None, device: str = "cpu") -> Iterator[Any]:
    """The blocks of ``X`` in order: ``(CSR block in the memory of device, *parts of per_cell)``.

    Parameters
    ----------
    step
        Maps a block and its parts to an array, or a tuple of arrays, that is yielded in their place. With a Dask array
        only this result leaves the workers, so nothing else is sent.
    """
    if is_dask(X):
        yield from _stream_dask(X, step, device, per_cell)
        return
    for here in _stream_here(X, *per_cell, device=device, walk=track_cells):
        yield here if step is None else _step_of(X.shape[0], step, here)


def _step_of(n_cells: int, step: Callable, here: tuple) -> Any:
    with loops.part_of(n_cells):
        return step(*here)


def _stream_here(X: Any, *per_cell: np.ndarray, device: str, walk: Callable = iter) -> Iterator[tuple]:
    read, cuts = _ready(X, device)
    with closing(prefetched(read, cuts)) as blocks:
        for cut in walk(cuts):
            yield place(next(blocks), device), *(v[cut] for v in per_cell)


def _ready(X: Any, device: str) -> tuple[Callable[[slice], Any], list[slice]]:
    """What reads blocks of ``X``, and which; the offsets of its rows are read once for both."""
    offsets = row_offsets(X)
    return reader(X, offsets), list(block_sizes.row_cuts(X, device, offsets))


def in_halves(step: Callable, cut: slice, *per_cell: np.ndarray) -> Any:
    """``step(cut, *per_cell)``, or the sum over the halves of ``cut`` if there is not enough memory for all of it.

    Raises
    ------
    MemoryError
        If there is not enough for a single cell.
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
        lacking = error.args[0].partition(". ")[0]
    warn(f"{lacking}: continuing with half as many.")  # out here: what it notes in the frame would keep the error
    gc.collect()  # since Python 3.12 the error lies in a cycle, and its traceback holds the arrays of the whole block
    release_memory()
    middle = cut.start + n_cells // 2
    return in_halves(step, slice(cut.start, middle), *per_cell) + in_halves(step, slice(middle, cut.stop), *per_cell)


def _fold_chunks(chunks: list, *per_cell: np.ndarray, step: Callable, device: str, n_cells: int) -> Any:
    with loops.part_of(n_cells):
        folded = (_fold_here(*part, step=step, device=device) for part in _split(chunks, per_cell))
        return reduce(iadd, folded).to_host()


def _stream_dask(X: Any, step: Callable | None, device: str, per_cell: tuple[np.ndarray, ...]) -> Iterator[Any]:
    if step:
        walk = partial(_packed_chunks, step=step, device=device, n_cells=X.shape[0])
    else:
        walk = partial(_stream_chunks, step=_as_it_is)
    for parts in dask.in_order(X, walk, per_cell, block_sizes.cells_per_block(X, device)):
        for part in parts:
            yield _each(partial(_unpacked, device=device), part) if step else (place(part[0], device), *part[1:])


def delayed_parts(X: Any, *per_cell: np.ndarray, step: Callable, device: str = "cpu") -> list[tuple[slice, Any]]:
    """The cells of each task of a Dask array, and ``step(block, *parts of per_cell)`` of them as one delayed array."""
    walk = partial(_joined_chunks, step=step, device=device, n_cells=X.shape[0])
    return dask.tasks(X, walk, per_cell, BLOCKS_PER_TASK * block_sizes.cells_per_block(X, device))


def _joined_chunks(chunks: list, *per_cell: np.ndarray, step: Callable, device: str, n_cells: int) -> np.ndarray:
    with loops.part_of(n_cells):
        return np.concatenate(_stream_chunks(chunks, *per_cell, step=step, device=device))


def _as_it_is(*block_and_parts: Any) -> tuple:
    return block_and_parts


def _packed_chunks(chunks: list, *per_cell: np.ndarray, step: Callable, device: str, n_cells: int) -> list:
    with loops.part_of(n_cells):
        return [_each(_packed, found) for found in _stream_chunks(chunks, *per_cell, step=step, device=device)]


def _packed(a: np.ndarray) -> Any:
    """Arrays that are mostly zero are sent as CSR: expression is, and the way to the client is narrow."""
    return sparse.csr_matrix(a) if a.ndim == 2 and np.count_nonzero(a) < SPARSE * a.size else a


def _unpacked(part: Any, device: str) -> Any:
    return place(part.toarray() if sparse.issparse(part) else part, device)


def _each(function: Callable, found: Any) -> Any:
    """``function`` of an array, or of each of a tuple."""
    return tuple(map(function, found)) if isinstance(found, tuple) else function(found)


def _stream_chunks(chunks: list, *per_cell: np.ndarray, step: Callable, device: str = "cpu") -> list:
    parts = _split(chunks, per_cell)
    return [_each(to_host, step(*here)) for part in parts for here in _stream_here(*part, device=device)]


def _split(chunks: list, per_cell: tuple[np.ndarray, ...]) -> Iterator[tuple]:
    """Each chunk as CSR, with its part of each ``per_cell``."""
    start = 0
    for chunk in chunks:
        stop = start + chunk.shape[0]
        yield as_csr(chunk), *(v[start:stop] for v in per_cell)
        start = stop
