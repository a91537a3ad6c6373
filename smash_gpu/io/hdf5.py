"""Reads one-dimensional HDF5 arrays with chunks decoded in all threads; HDF5 itself decodes one chunk at a time."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial, reduce, singledispatch
from typing import Any, NamedTuple

import h5py
import numcodecs
import numpy as np

from smash_gpu.compute.cores import cores

GZIP, SHUFFLE, BLOSC, ZSTD = 1, 2, 32001, 32015  # HDF5's registered filters
Decoder = Callable[[bytes], bytes]
CODECS: dict[int, Callable[[tuple, int], Decoder]] = {  # from the options of the filter and the bytes per chunk
    GZIP: lambda _, n_bytes: partial(zlib.decompress, bufsize=n_bytes),
    SHUFFLE: lambda options, _: numcodecs.Shuffle(options[0]).decode,
    BLOSC: lambda *_: numcodecs.Blosc().decode,
    ZSTD: lambda *_: numcodecs.Zstd().decode,
}


@singledispatch
def array_reader(array: Any) -> Callable[[int, int], np.ndarray]:
    """``(start, stop) -> array[start:stop]``, bit for bit, for a one-dimensional HDF5 or zarr array.

    The HDF5 filters gzip, shuffle, zstd and blosc are decoded here (the last two without the package hdf5plugin).
    Arrays with other filters, or without chunks, are left to HDF5; zarr uses its own threads (see
    `smash_gpu.io.zarr_arrays`). The last chunk is kept for the next call, which usually starts in it.
    """
    return lambda start, stop: array[start:stop]


@array_reader.register
def _(array: h5py.Dataset) -> Callable[[int, int], np.ndarray]:
    decoders = _decoders(array)
    if decoders is None:
        return lambda start, stop: array[start:stop]
    size, kept = array.chunks[0], _Kept(-1, np.empty(0, array.dtype))

    def decoded(number: int) -> np.ndarray:
        return kept.values if number == kept.number else _decoded(array, decoders, number)

    def read(start: int, stop: int) -> np.ndarray:
        nonlocal kept
        out = np.empty(stop - start, dtype=array.dtype)
        numbers = range(start // size, -(-stop // size))

        def fill(number: int) -> _Kept | None:
            values = decoded(number)
            first, last = max(start, number * size), min(stop, (number + 1) * size)
            out[first - start : last - start] = values[first - number * size : last - number * size]
            return _Kept(number, values) if number == numbers[-1] else None

        for last_chunk in _pool().map(fill, numbers):
            kept = last_chunk or kept
        return out

    return read


class _Kept(NamedTuple):
    number: int
    values: np.ndarray


def _decoded(array: h5py.Dataset, decoders: list[Decoder], number: int) -> np.ndarray:
    skipped, packed = array.id.read_direct_chunk((number * array.chunks[0],))
    used = [decoder for bit, decoder in enumerate(decoders) if not skipped >> bit & 1]
    return np.frombuffer(reduce(lambda data, undo: undo(data), reversed(used), packed), dtype=array.dtype)


def _decoders(array: h5py.Dataset) -> list[Decoder] | None:
    """The decoder of each filter of the array, in the order of application; None if HDF5 must decode."""
    if array.chunks is None or array.ndim != 1:
        return None
    filters = filters_of(array)
    is_whole = array.id.get_num_chunks() == -(-len(array) // array.chunks[0])
    if not filters or not is_whole or any(code not in CODECS for code, _ in filters):
        return None
    n_bytes = array.chunks[0] * array.dtype.itemsize
    return [CODECS[code](options, n_bytes) for code, options in filters]


@singledispatch
def filters_of(item: Any) -> list[tuple[int, tuple]]:
    """Numbers and options of the filters of an HDF5 array, in the order of application; empty for other arrays."""
    return []


@filters_of.register
def _(item: h5py.Dataset) -> list[tuple[int, tuple]]:
    properties = item.id.get_create_plist()
    found = (properties.get_filter(k) for k in range(properties.get_nfilters()))
    return [(code, options) for code, _, options, _ in found]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="decoding")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process does not inherit threads
