"""zarr arrays are read chunk by chunk, and no chunk is decoded twice."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from anndata.io import sparse_dataset, write_elem
from scipy import sparse

from smash_gpu.blocks import readers, sizes
from smash_gpu.io import hdf5, zarr_arrays

N = 1000


def stored(path, values, chunks, shards=None, **options):
    group = zarr.open_group(path, mode="w", **options)
    group.create_array("x", data=values, chunks=chunks, shards=shards)
    return zarr.open_group(path, mode="r")["x"]


@pytest.fixture
def asked(monkeypatch):
    """The slices of rows that zarr is asked for."""
    slices, get = [], zarr.Array.__getitem__

    def noted(array, selection):
        slices.append((selection.start, min(selection.stop, array.shape[0])))
        return get(array, selection)

    monkeypatch.setattr(zarr.Array, "__getitem__", noted)
    return slices


@pytest.mark.parametrize("shape", [(N,), (N, 7)], ids=str)
@pytest.mark.parametrize(
    ("version", "chunk", "shard"), [(2, 64, None), (3, 64, None), (3, 10, 50), (3, 30, 600), (3, N, N)]
)
def test_any_slices_are_those_of_zarr(tmp_path, rng, shape, chunk, shard, version):
    values = rng.poisson(2, shape).astype("f4")
    rest = (3,) * (len(shape) - 1)
    shards = (shard, *(6,) * len(rest)) if shard else None
    read = hdf5.array_reader(stored(tmp_path, values, (chunk, *rest), shards, zarr_format=version))
    cuts = np.sort(rng.integers(0, N + 1, (20, 2)))
    for start, stop in [(0, N), (0, 0), (N, N), (63, 65), (65, 66), (65, 130), (131, 131), *cuts]:
        found = read(int(start), int(stop))
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[start:stop])


@pytest.mark.parametrize("shape", [(N,), (N, 7)], ids=str)
@pytest.mark.parametrize("at_once", [3, 40, 70, 333])
@pytest.mark.parametrize(("chunk", "shard"), [(10, 50), (10, 600), (50, 50)])
def test_from_start_to_end_each_chunk_is_decoded_once(tmp_path, rng, asked, shape, at_once, chunk, shard):
    values = rng.poisson(2, shape).astype("f4")
    array = stored(tmp_path, values, (chunk, *shape[1:]), (shard, *shape[1:]))
    read = hdf5.array_reader(array)
    found = [read(start, min(start + at_once, N)) for start in range(0, N, at_once)]
    np.testing.assert_array_equal(np.concatenate(found), values)
    unit = shard if shard <= at_once else chunk
    assert all(start % unit == 0 for start, _ in asked)
    assert [start for start, _ in asked] == [0, *(stop for _, stop in asked[:-1])]
    assert asked[-1][1] == N


def test_a_chunk_too_tall_to_be_kept_is_read_in_parts(tmp_path, rng, asked, monkeypatch):
    values = rng.poisson(2, (N, 7)).astype("f4")
    read = hdf5.array_reader(stored(tmp_path, values, (500, 7)))
    monkeypatch.setattr(zarr_arrays.memory, "room", lambda: 500 * 7 * 4 - 1)
    np.testing.assert_array_equal(read(20, 30), values[20:30])
    assert asked == [(20, 30)]


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_one_pass_over_a_sharded_matrix_reads_each_shard_once(tmp_path, rng, asked, monkeypatch, form):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 37)
    counts = sparse.csr_matrix(rng.poisson(0.5, (500, 40)).astype("f4"))
    group = zarr.open_group(tmp_path, mode="w", zarr_format=3)
    how = {"chunks": (100,), "shards": (400,)} if form == "csr" else {"chunks": (5, 20), "shards": (20, 40)}
    write_elem(group, "X", counts if form == "csr" else counts.toarray(), dataset_kwargs=how)
    X = sparse_dataset(group["X"]) if form == "csr" else group["X"]
    read = readers.reader(X)
    cuts = list(sizes.row_cuts(X))
    asked.clear()
    for cut in cuts:
        assert (read(cut) != counts[cut]).nnz == 0
    assert len(cuts) > 10
    n_rows = sum(stop - start for start, stop in asked)
    assert n_rows == (2 * counts.nnz if form == "csr" else 500)
