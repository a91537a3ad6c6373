"""Files behind a matrix: damage and changes are seen."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import zarr
from cases.stores import IN_MEMORY, ON_DISK, put
from cells import planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu import cli
from smash_gpu.annotated.read import read as read_dataset
from smash_gpu.blocks import readers
from smash_gpu.blocks.fold import stream
from smash_gpu.errors import ChangedError
from smash_gpu.io import concat, integrity, open
from smash_gpu.io import matrices as io_matrices


@pytest.mark.parametrize("kind", ON_DISK)
def test_files_of_a_matrix_and_their_changes(kind, counts, tmp_path):
    X = put(kind, counts, tmp_path)
    where = io_matrices.places(X)
    before = integrity.files(where)
    assert before
    assert all(path.is_relative_to(tmp_path) for path in before)
    integrity.require_unchanged(where, before)
    last = list(before)[-1]
    os.utime(last, ns=(0, before[last][1] + 1))
    with pytest.raises(ChangedError, match=rf"{last.name} changed while it was read \(written "):
        integrity.require_unchanged(where, before)
    with last.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ChangedError, match="bytes before"):
        integrity.require_unchanged(where, before)
    shutil.rmtree(tmp_path / "matrix.zarr", ignore_errors=True)
    (tmp_path / "matrix.h5ad").unlink(missing_ok=True)
    with pytest.raises(ChangedError, match=r"no longer exists|more \("):
        integrity.require_unchanged(where, before)


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_a_matrix_in_memory_has_no_files(kind, counts, tmp_path):
    X = put(kind, counts, tmp_path)
    assert io_matrices.places(X) == ()
    integrity.require_whole(X)


def chunked(counts, path, *, zarr_format=3, chunk=100, shard=None, **options):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    shards = {} if shard is None else {"shards": (shard,)}
    ad.io.write_elem(group, "X", counts, dataset_kwargs={"chunks": (chunk,), **shards, **options})
    return ad.io.sparse_dataset(zarr.open_group(path, mode="r")["X"])


STORES = pytest.mark.parametrize(
    "how", [{"zarr_format": 2}, {}, {"shard": 300}, {"shard": 200, "chunk": 50}], ids=["v2", "v3", "shards", "small"]
)


def chunks_of(path, name, element="X"):
    return sorted(p for p in (Path(path) / element / name).rglob("*") if p.is_file() and p.name.isdigit())


@STORES
@pytest.mark.parametrize(("name", "damage"), [("data", "emptied"), ("indices", "emptied"), ("indices", "removed")])
def test_missing_chunks_are_not_read_as_zeros(how, damage, name, counts, tmp_path):
    X = chunked(counts, tmp_path / "a.zarr", **how)
    integrity.require_whole(X)
    for chunk in chunks_of(tmp_path / "a.zarr", name):
        content = chunk.read_bytes()
        chunk.unlink()
        if damage == "emptied":
            chunk.touch()
        with pytest.raises(
            ValueError, match=rf"X/{name} lacks 1 of its .* chunks, or parts of them \(.*{chunk.name} first\)"
        ):
            integrity.require_whole(X)
        chunk.write_bytes(content)
    integrity.require_whole(X)


@STORES
def test_explicit_zeros_that_zarr_does_not_store_are_a_warning(how, counts, tmp_path):
    counts.data[:] = 0
    X = chunked(counts, tmp_path / "a.zarr", **how)
    assert not chunks_of(tmp_path / "a.zarr", "data")
    with pytest.warns(UserWarning, match=r"X/data lacks (\d+) of its \1 chunks: they are read as zeros"):
        integrity.require_whole(X)
    assert not any(block.data.any() for (block,) in stream(X))


@pytest.mark.parametrize("lazily", [False, True])
def test_only_the_matrix_that_is_used_must_be_whole(lazily, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0 if lazily else 2**30)
    adata, path = planted(rng), tmp_path / "cells.zarr"
    adata.layers["counts"] = adata.X.copy()
    adata.write_zarr(path)
    chunks_of(path, "indices", "layers/counts")[0].unlink()
    with nullcontext() if lazily else pytest.warns(UserWarning, match=r"counts/indices lacks .* not used here"):
        found = concat.open_cells(path, {})
    assert read_dataset(found, {"groupby": "cell_type"}).matrix.shape == adata.shape
    with pytest.raises(ValueError, match="counts/indices lacks 1 of its"):
        read_dataset(concat.open_cells(path, {"layer": "counts"}), {"groupby": "cell_type", "layer": "counts"})


@STORES
def test_missing_offsets_are_noticed(how, counts, tmp_path):
    X = chunked(counts, tmp_path / "a.zarr", **how)
    for chunk in chunks_of(tmp_path / "a.zarr", "indptr"):
        content = chunk.read_bytes()
        chunk.unlink()
        with pytest.raises(ValueError, match="indptr does not fit the stored values"):
            integrity.require_whole(X)
        chunk.write_bytes(content)


def test_chunks_that_are_zero_by_right_may_be_missing(tmp_path):
    """Cells that express the first gene only, one value each: their chunk of column numbers is not stored."""
    matrix = np.zeros((40, 6), dtype=np.float32)
    matrix[:, 0] = 1
    matrix[:8, 3] = 2
    X = chunked(sparse.csr_matrix(matrix), tmp_path / "a.zarr", chunk=16)
    assert len(chunks_of(tmp_path / "a.zarr", "indices")) == 1
    assert X.group["indices"].nchunks == 3
    integrity.require_whole(X)
    np.testing.assert_array_equal(X.to_memory().toarray(), matrix)


def test_missing_chunks_of_a_dense_matrix_are_said_to_be_zeros(counts, tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    array = group.create_array("X", shape=(60, 40), chunks=(20, 40), dtype="f4")
    array[20:] = counts.toarray()[20:]
    with pytest.warns(UserWarning, match="X lacks 1 of its 3 chunks: they are read as zeros"):
        integrity.require_whole(array)


@pytest.mark.parametrize("lazily", [False, True])
def test_the_command_refuses_a_store_in_part(lazily, rng, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0 if lazily else 2**30)
    path = tmp_path / "cells.zarr"
    planted(rng).write_zarr(path)
    chunks_of(path, "indices")[0].unlink()
    assert cli.main(["find", str(path), "--groupby", "cell_type"]) == 2
    error = capsys.readouterr().err
    assert "X/indices lacks 1 of its" in error
    assert "Copy the store again" in error


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize(
    "options", [{"zarr_format": 2}, {"compressors": "blosc"}, {}, {"compressors": None}, {"shard": 300}], ids=str
)
def test_a_chunk_cut_short_is_never_read(options, share, counts, tmp_path):
    """Blosc, which zarr 2 stores have by default, reads behind the end of a chunk without an error."""
    if options.get("compressors") == "blosc":
        options = {"compressors": zarr.codecs.BloscCodec()}
    X = chunked(counts, tmp_path / "a.zarr", **options)
    for chunk in chunks_of(tmp_path / "a.zarr", "data"):
        content = chunk.read_bytes()
        chunk.write_bytes(content[: max(1, int(len(content) * share))])
        with pytest.raises((ValueError, OSError), match="damaged"):
            integrity.require_whole(X)
            list(stream(X))
        chunk.write_bytes(content)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_values_that_cannot_be_decoded_name_file_and_cells(compression, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    path = tmp_path / "cells.h5ad"
    planted(rng, n_cells=600).write_h5ad(path, compression=compression)
    damaged(path)
    with pytest.raises(OSError, match=r"cells 0 to \d+ of .*cells\.h5ad cannot be read .*: the file is damaged"):
        smg.tl.smash(path, "cell_type")


def damaged(path):
    """The first compressed chunk of values overwritten."""
    import h5py

    with h5py.File(path, "r") as file:
        where = file["X/data"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(where.byte_offset)
        file.write(b"\xff" * where.size)


def test_a_lack_of_memory_while_reading_stays_one(counts, tmp_path):
    def lacks(_):
        raise MemoryError("no memory")

    with pytest.raises(MemoryError):
        integrity.naming_errors(put("h5ad_csr", counts, tmp_path), lacks)(slice(0, 3))
    read = readers.reader(put("h5ad_csr", counts, tmp_path / "b"))
    assert read(slice(0, 3)).shape == (3, 40)
