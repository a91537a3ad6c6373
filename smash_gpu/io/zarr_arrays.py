"""Reads zarr arrays from start to end with every chunk decoded once; zarr itself keeps nothing between two reads."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import zarr

from smash_gpu.io import hdf5
from smash_gpu.runtime import memory

SHARE_KEPT = 1 / 16  # of the memory that may be used, at most, for a chunk that is longer than what is read at once


@hdf5.array_reader.register
def _(array: zarr.Array) -> Callable[[int, int], np.ndarray]:
    """``(start, stop) -> array[start:stop]`` along the first axis.

    Whole chunks are read, or whole shards if as much is asked for at once (zarr then reads a shard in one piece). What
    lies behind ``stop`` is kept for the next call, which usually starts there.
    """
    kept_from, kept = 0, np.empty((0, *array.shape[1:]), array.dtype)

    def read(start: int, stop: int) -> np.ndarray:
        nonlocal kept_from, kept
        end = kept_from + len(kept)
        head = kept[start - kept_from : stop - kept_from] if kept_from <= start < end else kept[:0]
        unit = _unit(array, stop - start)
        low = end if len(head) else start // unit * unit
        if low >= stop:
            kept_from, kept = stop, kept[stop - kept_from :]
            return head
        values = np.asarray(array[low : -(-stop // unit) * unit])
        kept_from, kept = stop, values[stop - low :].copy()  # a view would hold on to all of them
        tail = values[max(start - low, 0) : stop - low]
        return np.concatenate([head, tail]) if len(head) else tail

    return read


def _unit(array: zarr.Array, n: int) -> int:
    """The length of what is decoded as a whole if ``n`` rows are read: a shard, a chunk, or 1 if these are too long."""
    chunk = array.chunks[0]
    bytes_of_chunk = chunk * prod(array.shape[1:]) * array.dtype.itemsize
    if array.shards and array.shards[0] <= n:
        return array.shards[0]
    return chunk if chunk <= n or bytes_of_chunk <= SHARE_KEPT * memory.room() else 1
