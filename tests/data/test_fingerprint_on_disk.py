"""How a matrix on disk is recognised without reading it."""

from __future__ import annotations

import os

import anndata as ad
import numpy as np
import pytest
from cases.stores import IN_MEMORY, ON_DISK, put

from smash_gpu.data import fingerprint
from smash_gpu.io import matrices as io_matrices
from smash_gpu.io import open
from smash_gpu.io.open import open_file
from smash_gpu.io.stack import Stack

NAMES = [f"GENE{i}" for i in range(40)]


@pytest.fixture
def large(monkeypatch):
    """What is on disk counts as too large to be read whole."""
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)


def named(matrix, names=NAMES):
    return fingerprint.sampled(matrix, names)


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
