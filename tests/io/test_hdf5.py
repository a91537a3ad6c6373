"""HDF5 chunks decoded in threads."""

from __future__ import annotations

import multiprocessing
import os
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import h5py
import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smash_gpu.io import hdf5


def stored(path, values, size, filters):
    """A dataset whose chunks went through ``filters``: pairs of HDF5's own settings and what encodes a chunk."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=(size,), **filters)
    return h5py.File(path)["x"]


@pytest.mark.parametrize(
    "filters", [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}, {}]
)
@pytest.mark.parametrize("kind", ["u1", "i4", ">f4", "f8", "i8"])
def test_chunks_are_decoded_as_hdf5_does(tmp_path, rng, kind, filters):
    values = rng.poisson(2, 1000).astype(kind)
    read = hdf5.array_reader(stored(tmp_path / "x.h5", values, 64, filters))
    for start, stop in [(0, 1000), (0, 0), (63, 65), (64, 128), (999, 1000), (130, 700)]:
        found = read(start, stop)
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[start:stop])


@pytest.mark.parametrize(("code", "codec"), [(hdf5.ZSTD, numcodecs.Zstd()), (hdf5.BLOSC, numcodecs.Blosc())])
def test_zstd_and_blosc_are_read_without_hdf5plugin(tmp_path, rng, code, codec):
    values = rng.poisson(2, 300).astype("f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((100,))
        properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 400) if code == hdf5.BLOSC else (3,))
        space = h5py.h5s.create_simple((300,))
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, properties))
        for start in (0, 100, 200):
            dataset.id.write_direct_chunk((start,), bytes(codec.encode(values[start : start + 100])))
    read = hdf5.array_reader(h5py.File(tmp_path / "x.h5")["x"])
    np.testing.assert_array_equal(read(50, 250), values[50:250])


def test_a_chunk_that_a_filter_was_skipped_for_is_read(tmp_path):
    values = np.arange(20, dtype="i4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", (20,), "i4", chunks=(10,), compression="gzip")
        dataset.id.write_direct_chunk((0,), values[:10].tobytes(), filter_mask=1)
        dataset.id.write_direct_chunk((10,), zlib.compress(values[10:].tobytes()))
    np.testing.assert_array_equal(hdf5.array_reader(h5py.File(tmp_path / "x.h5")["x"])(0, 20), values)


def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (20,), "i4", chunks=(10,), compression="gzip", fillvalue=7)[:10] = 1
    np.testing.assert_array_equal(hdf5.array_reader(h5py.File(tmp_path / "x.h5")["x"])(5, 15), [1] * 5 + [7] * 5)


@given(n=st.integers(1, 60), size=st.integers(1, 20), cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_any_slice_of_any_chunks(tmp_path_factory, n, size, cut):
    start, stop = sorted(min(c, n) for c in cut)
    values = np.arange(n, dtype="i8")
    read = hdf5.array_reader(
        stored(tmp_path_factory.mktemp("x") / "x.h5", values, min(size, n), {"compression": "gzip"})
    )
    np.testing.assert_array_equal(read(start, stop), values[start:stop])


def test_a_chunk_is_decoded_once_however_many_slices_meet_in_it(tmp_path, monkeypatch):
    array = stored(tmp_path / "x.h5", np.arange(100), 40, {"compression": "gzip"})
    numbers = []
    decoded = hdf5._decoded
    monkeypatch.setattr(hdf5, "_decoded", lambda *a: numbers.append(a[2]) or decoded(*a))
    read = hdf5.array_reader(array)
    np.testing.assert_array_equal(np.concatenate([read(i, i + 10) for i in range(0, 100, 10)]), np.arange(100))
    assert numbers == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_decodes_with_threads_of_its_own(tmp_path):
    read = hdf5.array_reader(stored(tmp_path / "x.h5", np.arange(100), 40, {"compression": "gzip"}))
    read(0, 100)
    child = multiprocessing.get_context("fork").Process(target=read, args=(0, 90))
    child.start()
    child.join(20)
    assert child.exitcode == 0


def test_chunks_are_decoded_while_other_threads_read_the_file(tmp_path, monkeypatch):
    """Before 3.16 h5py reads a chunk without its own lock, and this ends the interpreter."""
    values = np.arange(20_000)
    array = stored(tmp_path / "x.h5", values, 20, {"compression": "gzip"})
    monkeypatch.setattr(hdf5, "_pool", cache(lambda: ThreadPoolExecutor(4)))
    decoding = hdf5.array_reader(array)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as other:
            slices = other.submit(lambda: [array[k : k + 20] for k in range(0, 20_000, 20)])
            for _ in range(3):
                np.testing.assert_array_equal(decoding(0, 20_000), values)
            np.testing.assert_array_equal(np.concatenate(slices.result()), values)
    finally:
        sys.setswitchinterval(interval)
