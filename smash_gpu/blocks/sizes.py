"""Where a matrix is cut into blocks of cells: of a size that suits the device and the memory that may be used."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from smash_gpu.blocks.prefetch import BLOCKS_AHEAD
from smash_gpu.compute.device import device_room
from smash_gpu.compute.xp import on_gpu
from smash_gpu.io.matrices import row_offsets, values_per_cell
from smash_gpu.runtime import memory
from smash_gpu.runtime.cluster import is_dask

CELLS_PER_BLOCK = 2048
CELLS_PER_DEVICE_BLOCK = 65_536
SHARE_FOR_BLOCKS = 0.25  # of the room
BYTES_PER_VALUE = 48  # of a block that is computed on, at most: value and index, sorted by group, logarithm, square
BYTES_PER_VALUE_AHEAD = 12
BYTES_PER_DENSE_VALUE = 4


def row_cuts(X: Any, device: str = "cpu", offsets: np.ndarray | None = None) -> Iterator[slice]:
    """The slices of cells that make the blocks of ``X`` for ``device``; ``offsets`` if `row_offsets` were read."""
    if is_dask(X):
        ends = accumulate(X.chunks[0], initial=0)
        return (slice(start, end) for start, end in pairwise(ends) if end > start)
    offsets = row_offsets(X) if offsets is None else offsets
    if offsets is None:
        size = cells_per_block(X, device)
        return (slice(start, min(start + size, X.shape[0])) for start in range(0, X.shape[0], size))
    return _evenly_filled(offsets, _most_cells(X, device), _most_values(device))


def cells_per_block(X: Any, device: str = "cpu") -> int:
    """How many cells of ``X`` make a block, on average."""
    if on_gpu(X) or is_dask(X):
        return CELLS_PER_DEVICE_BLOCK if device == "cuda" else CELLS_PER_BLOCK
    return max(1, min(_most_cells(X, device), int(_most_values(device) / max(values_per_cell(X), 1e-9))))


def _evenly_filled(offsets: np.ndarray, most_cells: int, most_values: float) -> Iterator[slice]:
    start, n_cells = 0, len(offsets) - 1
    while start < n_cells:
        fits = int(np.searchsorted(offsets, offsets[start] + most_values, side="right")) - 1
        stop = min(max(fits, start + 1), start + most_cells, n_cells)
        yield slice(start, stop)
        start = stop


def _most_cells(X: Any, device: str) -> int:
    if device == "cpu":
        return CELLS_PER_BLOCK
    dense = BYTES_PER_DENSE_VALUE * X.shape[1]
    return max(1, min(CELLS_PER_DEVICE_BLOCK, int(SHARE_FOR_BLOCKS * device_room() / dense)))


def _most_values(device: str) -> float:
    ahead = BYTES_PER_VALUE_AHEAD * (BLOCKS_AHEAD + 1)
    on_host = SHARE_FOR_BLOCKS * memory.room() / (ahead + (BYTES_PER_VALUE if device == "cpu" else 0))
    return on_host if device == "cpu" else min(on_host, SHARE_FOR_BLOCKS * device_room() / BYTES_PER_VALUE_AHEAD)
