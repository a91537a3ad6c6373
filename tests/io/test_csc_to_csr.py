"""Matrices stored by genes are converted once, in a bounded amount of memory and disk."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from smash_gpu.io import csc_to_csr
from smash_gpu.runtime import atomic, memory, spill

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


@pytest.fixture
def large_csc(tmp_path):
    """20,000 cells × 1,500 genes with 3 million values in 36 MB, and the matrix itself as CSR."""
    n_cells, n_genes, a_cell = 20_000, 1_500, 150
    start = np.random.default_rng(0).integers(0, 10, (n_cells, 1))
    indices = (start + 10 * np.arange(a_cell)).ravel()
    values = np.arange(indices.size, dtype=np.float64) % 97 + 1
    matrix = sparse.csr_matrix((values, indices, np.arange(n_cells + 1) * a_cell), (n_cells, n_genes))
    with h5py.File(tmp_path / "large.h5", "w") as file:
        ad.io.write_elem(file, "X", matrix.tocsc())
    return ad.io.sparse_dataset(h5py.File(tmp_path / "large.h5")["X"]), matrix


@pytest.mark.parametrize(
    ("room", "buckets"), [(8_000_000, None), (8_000_000, 3)], ids=["buckets fit", "buckets do not fit"]
)
def test_conversion_stays_in_its_share_of_the_room(large_csc, monkeypatch, room, buckets):
    X, expected = large_csc
    monkeypatch.setattr(memory, "room", lambda: room)
    if buckets:
        monkeypatch.setattr(csc_to_csr, "MOST_BUCKETS", buckets)
    tracemalloc.start()
    found = csc_to_csr.by_cells(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < room < X.group["data"].nbytes
    found = found.to_memory()
    assert found.has_canonical_format
    assert (found != expected).nnz == 0


def test_a_matrix_is_converted_once_and_what_was_made_is_removed(large_csc):
    X, _ = large_csc
    with pytest.warns(
        UserWarning, match=r"by genes \(CSC\): converting X of large\.h5 once to CSR, 0\.04 GB in .*Store it as"
    ):
        first = csc_to_csr.by_cells(X)
    place = Path(first.group.file.filename)
    assert Path(csc_to_csr.by_cells(X).group.file.filename) == place
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    csc_to_csr._folders.clear()
    assert not place.parent.exists()


def test_a_conversion_goes_where_large_temporary_files_go(tmp_path, monkeypatch):
    """/tmp may be memory."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(spill, "LARGE_FILES", tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    made = Path(csc_to_csr.by_cells(small_csc(tmp_path / "cells.h5")).group.file.filename)
    assert made.is_relative_to(tmp_path / "disk")


def test_what_a_killed_program_left_is_removed_and_what_a_running_one_makes_is_not(tmp_path):
    X, at = small_csc(tmp_path / "cells.h5"), tmp_path / "work"
    for name in ("dead", "new", "alive"):
        (at / f".by-cells-{name}.part").mkdir(parents=True)
        if name != "new":
            os.utime(at / f".by-cells-{name}.part", (0, 0))
    held = atomic.lock(at / ".by-cells-alive.part")
    csc_to_csr.by_cells(X, at)
    os.close(held)
    assert sorted(path.stem for path in at.glob(".*.part")) == [".by-cells-alive", ".by-cells-new"]


def small_csc(path):
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "X", sparse.random(30, 20, 0.3, format="csc", random_state=0))
    return ad.io.sparse_dataset(h5py.File(path)["X"])


def test_a_folder_keeps_what_was_converted_until_the_file_changes(tmp_path):
    kept = tmp_path / "work"
    csc_to_csr.by_cells(small_csc(tmp_path / "cells.h5"), kept)
    (made,) = kept.iterdir()
    before = made.stat().st_mtime_ns
    csc_to_csr.by_cells(ad.io.sparse_dataset(h5py.File(tmp_path / "cells.h5")["X"]), kept)
    assert made.stat().st_mtime_ns == before
    (tmp_path / "cells.h5").touch()
    csc_to_csr.by_cells(ad.io.sparse_dataset(h5py.File(tmp_path / "cells.h5")["X"]), kept)
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("suffix", ["h5", "zarr"])
def test_a_matrix_changed_in_place_is_converted_anew_in_the_same_program(tmp_path, suffix):
    path = tmp_path / f"cells.{suffix}"
    opened = {"h5": h5py.File, "zarr": zarr.open_group}[suffix]
    root = opened(path, mode="w")
    ad.io.write_elem(root, "X", sparse.random(30, 20, 0.3, format="csc", random_state=0))
    if suffix == "h5":
        root.close()

    def matrix():
        return ad.io.sparse_dataset(opened(path, mode="r")["X"])

    before = csc_to_csr.by_cells(matrix()).to_memory()
    root = opened(path, mode="r+")
    root["X/data"][0] = 7
    if suffix == "h5":
        root.close()
    expected = matrix().to_memory()
    assert (before != expected).nnz
    assert (csc_to_csr.by_cells(matrix()).to_memory() != expected).nnz == 0


def test_too_small_a_disk_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(csc_to_csr, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match=r"X of cells\.h5 .*2,400 bytes.* are needed in .*1,000 are free.*TMPDIR"):
        csc_to_csr.by_cells(small_csc(tmp_path / "cells.h5"), tmp_path / "work")
    assert not list((tmp_path / "work").iterdir())


def test_a_disk_that_becomes_full_is_named_and_left_clean(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csc_to_csr, "_append", full)
    with pytest.raises(OSError, match="became full while X of cells.h5 .*TMPDIR"):
        csc_to_csr.by_cells(small_csc(tmp_path / "cells.h5"), tmp_path / "work")
    assert not list((tmp_path / "work").iterdir())
