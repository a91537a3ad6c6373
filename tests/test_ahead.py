"""Reading ahead, and HDF5 chunks decoded in threads."""

import multiprocessing
import os
import threading
import zlib

import anndata as ad
import h5py
import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from smash_gpu.blocks import sizes as block_sizes
from smash_gpu.blocks.fold import stream
from smash_gpu.blocks.prefetch import BLOCKS_AHEAD, Ahead
from smash_gpu.io import hdf5
from smash_gpu.io.open import open_file


def test_results_come_in_order_and_from_another_thread():
    threads = []

    def load(k):
        threads.append(threading.current_thread())
        return k * k

    with Ahead(load, range(20)) as read:
        assert [read(k) for k in range(20)] == [k * k for k in range(20)]
    assert threading.current_thread() not in threads


def test_no_more_than_a_few_are_held_at_a_time():
    loaded = []
    with Ahead(lambda k: loaded.append(k) or k, range(100)) as read:
        for k in range(50):
            read(k)
            assert len(loaded) <= k + 1 + BLOCKS_AHEAD
    assert len(loaded) < 60


def test_an_item_that_was_not_announced_is_loaded_on_the_spot_and_a_skipped_one_is_dropped():
    with Ahead(str, range(5)) as read:
        assert [read(0), read(77), read(2), read(3), read(4), read(1)] == list("0") + ["77"] + list("2341")


def test_an_error_comes_with_the_call_and_the_rest_goes_on():
    def load(k):
        if k == 1:
            raise MemoryError("of one block")
        return k

    with Ahead(load, range(4)) as read:
        assert read(0) == 0
        with pytest.raises(MemoryError, match="one block"):
            read(1)
        assert [read(2), read(3)] == [2, 3]


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
    read = hdf5.reader(stored(tmp_path / "x.h5", values, 64, filters))
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
    read = hdf5.reader(h5py.File(tmp_path / "x.h5")["x"])
    np.testing.assert_array_equal(read(50, 250), values[50:250])


def test_a_chunk_that_a_filter_was_skipped_for_is_read(tmp_path):
    values = np.arange(20, dtype="i4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", (20,), "i4", chunks=(10,), compression="gzip")
        dataset.id.write_direct_chunk((0,), values[:10].tobytes(), filter_mask=1)
        dataset.id.write_direct_chunk((10,), zlib.compress(values[10:].tobytes()))
    np.testing.assert_array_equal(hdf5.reader(h5py.File(tmp_path / "x.h5")["x"])(0, 20), values)


def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (20,), "i4", chunks=(10,), compression="gzip", fillvalue=7)[:10] = 1
    np.testing.assert_array_equal(hdf5.reader(h5py.File(tmp_path / "x.h5")["x"])(5, 15), [1] * 5 + [7] * 5)


@given(n=st.integers(1, 60), size=st.integers(1, 20), cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_any_slice_of_any_chunks(tmp_path_factory, n, size, cut):
    start, stop = sorted(min(c, n) for c in cut)
    values = np.arange(n, dtype="i8")
    read = hdf5.reader(stored(tmp_path_factory.mktemp("x") / "x.h5", values, min(size, n), {"compression": "gzip"}))
    np.testing.assert_array_equal(read(start, stop), values[start:stop])


def test_a_chunk_is_decoded_once_however_many_slices_meet_in_it(tmp_path, monkeypatch):
    array = stored(tmp_path / "x.h5", np.arange(100), 40, {"compression": "gzip"})
    numbers = []
    decoded = hdf5._decoded
    monkeypatch.setattr(hdf5, "_decoded", lambda *a: numbers.append(a[2]) or decoded(*a))
    read = hdf5.reader(array)
    np.testing.assert_array_equal(np.concatenate([read(i, i + 10) for i in range(0, 100, 10)]), np.arange(100))
    assert numbers == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_decodes_with_threads_of_its_own(tmp_path):
    read = hdf5.reader(stored(tmp_path / "x.h5", np.arange(100), 40, {"compression": "gzip"}))
    read(0, 100)
    child = multiprocessing.get_context("fork").Process(target=read, args=(0, 90))
    child.start()
    child.join(20)
    assert child.exitcode == 0


def test_blocks_hold_even_numbers_of_values_where_room_is_short(monkeypatch):
    lengths = np.r_[np.full(900, 10), np.full(100, 500)]
    X = sparse.csr_matrix(
        (np.ones(lengths.sum()), np.zeros(lengths.sum(), int), np.r_[0, np.cumsum(lengths)]), (1000, 600)
    )
    monkeypatch.setattr(block_sizes, "_most_values", lambda device: 2000)
    blocks = list(block_sizes.row_cuts(X))
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop) == (0, 1000)
    assert max(X.indptr[block.stop] - X.indptr[block.start] for block in blocks) <= 2000
    assert len(blocks) < 40


def test_column_numbers_beyond_the_genes_are_an_error_and_not_a_crash(tmp_path):
    ad.AnnData(sparse.csr_matrix(np.eye(20, dtype=np.float32))).write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][3] = 100_000
    X = open_file(tmp_path / "x.h5ad", lazily=True).X
    with pytest.raises((ValueError, OSError), match="beyond the 20 genes"):
        list(stream(X))
