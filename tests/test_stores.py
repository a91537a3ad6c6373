"""The files behind a matrix on disk: how it is recognised without reading it, and what damage and changes are seen."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import zarr
from cells import CONTAINERS, planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu import cli
from smash_gpu.annotated.read import read as read_dataset
from smash_gpu.blocks import readers
from smash_gpu.blocks.fold import stream
from smash_gpu.data import fingerprint
from smash_gpu.errors import ChangedError
from smash_gpu.io import concat, integrity, open
from smash_gpu.io import matrices as io_matrices
from smash_gpu.io.open import open_file
from smash_gpu.io.stack import Stack

NAMES = [f"GENE{i}" for i in range(40)]
ON_DISK = ["h5ad_csr", "h5ad_csc", "h5ad_dense", "zarr_csr", "zarr_dense"]
IN_MEMORY = ["numpy", "csr_matrix", "csr_array", "csc_matrix", "dask_csr", "dask_dense"]


@pytest.fixture
def counts(rng):
    return sparse.csr_matrix(rng.poisson(0.7, (60, 40)).astype(np.float32))


@pytest.fixture
def large(monkeypatch):
    """What is on disk counts as too large to be read whole."""
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)


def named(matrix, names=NAMES):
    return fingerprint.sampled(matrix, names)


def put(kind, matrix, path):
    path.mkdir(exist_ok=True)
    return CONTAINERS[kind](matrix, path)


@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("kind", IN_MEMORY + ON_DISK)
def test_one_changed_value_name_or_row_is_noticed(kind, limit, counts, tmp_path, monkeypatch):
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", limit)
    other = counts.copy()
    other.data[17] += 1
    moved = counts[np.roll(np.arange(60), 1)]
    found = [named(put(kind, matrix, tmp_path / str(i))) for i, matrix in enumerate((counts, other, moved))]
    assert len(set(found)) == 3
    assert named(put(kind, counts, tmp_path / "4"), NAMES[::-1]) not in found


def test_matrices_below_the_limit_are_named_by_their_values_whatever_holds_them(counts, tmp_path):
    """So that data are found again that were read into memory in one run and left on disk in another."""
    read_whole = [kind for kind in IN_MEMORY + ON_DISK if kind != "h5ad_csc"]
    matrices = [put(kind, counts, tmp_path / kind) for kind in read_whole]
    matrices.append(Stack([counts[:20], matrices[0][20:]], [None, None]))
    matrices.append(Stack([matrices[-2], counts[:, ::-1]], [None, np.arange(40)[::-1]], np.arange(60, 120)))
    assert len({named(matrix) for matrix in matrices}) == 1


def test_a_value_is_noticed_although_size_and_time_of_the_file_are_as_before(counts, large, tmp_path):
    """As far as the runs of values reach that are read: all of a small file."""
    path = tmp_path / "matrix.h5ad"
    X = put("h5ad_csr", counts, tmp_path)
    before, status = named(X), path.stat()
    X.group.file.close()
    import h5py

    with h5py.File(path, "r+") as file:
        file["X/data"][17] += 1
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    X = ad.read_h5ad(path, backed="r").X
    assert named(X) != before
    X.group.file.close()
    with h5py.File(path, "r+") as file:
        file["X/data"][17] -= 1
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert named(ad.read_h5ad(path, backed="r").X) == before
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert named(ad.read_h5ad(path, backed="r").X) != before


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_layers_that_differ_outside_the_runs_only_are_told_apart(suffix, counts, large, tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "N_SAMPLES", 1)
    monkeypatch.setattr(fingerprint, "VALUES_PER_SAMPLE", 4)
    adata = ad.AnnData(counts, layers={"same": counts.copy()})
    adata.layers["same"].data[200] += 1
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found = open_file(path, lazily=True)
    assert named(found.X) != named(found.layers["same"])


def test_a_moved_file_or_store_is_the_same_data(counts, large, tmp_path):
    for kind, name in (("h5ad_csr", "matrix.h5ad"), ("zarr_csr", "matrix.zarr")):
        before = named(put(kind, counts, tmp_path / "here"))
        there = tmp_path / "there" / f"renamed_{name}"
        there.parent.mkdir(exist_ok=True)
        (tmp_path / "here" / name).rename(there)
        assert named(open_file(there, lazily=True).X) == before


def test_a_large_file_is_read_at_its_runs_only(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "N_SAMPLES", 4)
    monkeypatch.setattr(fingerprint, "VALUES_PER_SAMPLE", 10)
    assert list(fingerprint._spread((40,))) == [slice(None)]
    cuts = list(fingerprint._spread((1001,)))
    assert (cuts[0].start, cuts[-1].stop, len(cuts)) == (0, 1001, 4)
    assert {cut.stop - cut.start for cut in cuts} == {10}
    rows = list(fingerprint._spread((1000, 5)))
    assert {cut.stop - cut.start for cut in rows} == {2}
    assert list(fingerprint._spread((3, 10**6))) == [slice(None)]


def test_stacks_are_named_by_their_parts_genes_and_cells(counts, large, tmp_path):
    a, b = (put("h5ad_csr", part, tmp_path / name) for name, part in (("a", counts[:30]), ("b", counts[30:])))
    order, cells = np.arange(40)[::-1], np.arange(0, 60, 2)
    stacks = [
        Stack([a, b], [None, None]), Stack([b, a], [None, None]), Stack([a, b], [None, order]),
        Stack([a, b], [order, None]), Stack([a, b], [None, None], cells), Stack([a, b], [None, None], cells[::-1]),
        Stack([a, counts[30:]], [None, None]),
    ]  # fmt: skip
    assert len({named(stack) for stack in stacks}) == len(stacks)
    assert named(Stack([a, b], [None, None])) == named(stacks[0])
    assert len(io_matrices.places(stacks[0])) == 2


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
    with pytest.raises(ChangedError, match=r"not there any more|more \("):
        integrity.require_unchanged(where, before)


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_a_matrix_in_memory_has_no_files(kind, counts, tmp_path):
    X = put(kind, counts, tmp_path)
    assert io_matrices.places(X) == ()
    integrity.require_whole(X)


def test_data_sets_that_point_to_other_files_are_read_whole(tmp_path):
    import h5py

    with h5py.File(tmp_path / "values.h5", "w") as file:
        file["X"] = np.ones((4, 3))
    layout = h5py.VirtualLayout((4, 3), float)
    layout[:] = h5py.VirtualSource(tmp_path / "values.h5", "X", shape=(4, 3))
    with h5py.File(tmp_path / "pointer.h5", "w") as file:
        file.create_virtual_dataset("X", layout)
    with h5py.File(tmp_path / "pointer.h5") as file:
        assert io_matrices.arrays(file["X"]) == {}
        assert named(file["X"]) == named(np.ones((4, 3)))


def chunked(counts, path, *, zarr_format=3, chunk=100, shard=None, **options):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    shards = {} if shard is None else {"shards": (shard,)}
    ad.io.write_elem(group, "X", counts, dataset_kwargs={"chunks": (chunk,), **shards, **options})
    return ad.io.sparse_dataset(zarr.open_group(path, mode="r")["X"])


STORES = pytest.mark.parametrize(
    "how", [{"zarr_format": 2}, {}, {"shard": 300}, {"shard": 200, "chunk": 50}], ids=["v2", "v3", "shards", "small"]
)


def chunks_of(path, name):
    return sorted(p for p in (Path(path) / "X" / name).rglob("*") if p.is_file() and p.name.isdigit())


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
def test_explicit_zeros_that_zarr_does_not_store_are_told_and_not_refused(how, counts, tmp_path):
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
    next((path / "layers" / "counts" / "indices").glob("[0-9]*")).unlink()
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
        with pytest.raises(ValueError, match="indptr does not fit the values"):
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
        integrity.telling(put("h5ad_csr", counts, tmp_path), lacks)(slice(0, 3))
    read = readers.reader(put("h5ad_csr", counts, tmp_path / "b"))
    assert read(slice(0, 3)).shape == (3, 40)
