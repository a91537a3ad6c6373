"""A new format is a row in `open.FORMATS`, and one reader where its matrices stay on disk in a way of their own."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import smash_gpu as smg
from smash_gpu.blocks import readers
from smash_gpu.cli import main
from smash_gpu.io.lazy import OnDisk
from smash_gpu.io.open import FORMATS, Format
from smash_gpu.io.stack import Stack

FEW_TREES = {"n_estimators": 10}


def write_labels(adata, path):
    adata.obs.to_csv(path.with_suffix(".cells.csv"))
    adata.var.to_csv(path.with_suffix(".genes.csv"))


def read_labels(path):
    return {
        name: pd.read_csv(path.with_suffix(f".{rows}.csv"), index_col=0, keep_default_na=False)
        for name, rows in (("obs", "cells"), ("var", "genes"))
    }


def write_npz(adata, path):
    with path.open("wb") as file:
        sparse.save_npz(file, adata.X)
    write_labels(adata, path)


def read_npz(path, used):
    return ad.AnnData(sparse.load_npz(path), **read_labels(path))


class Rows:
    """Dense cells × genes in a folder, one file of 50 cells after the other; they can be read by slices of cells."""

    def __init__(self, folder):
        self.folder, self.shape = folder, tuple(np.load(folder / "shape.npy").tolist())
        self.dtype = np.dtype("float32")

    def __getitem__(self, cut):
        numbers = range(cut.start // 50, (cut.stop - 1) // 50 + 1)
        found = np.concatenate([np.load(self.folder / f"{number}.npy") for number in numbers])
        return found[cut.start - numbers[0] * 50 : cut.stop - numbers[0] * 50]


def write_rows(adata, path):
    path.mkdir()
    np.save(path / "shape.npy", adata.shape)
    for number, start in enumerate(range(0, adata.n_obs, 50)):
        np.save(path / f"{number}.npy", adata.X[start : start + 50].toarray())
    write_labels(adata, path)


def read_rows(path, used):
    return OnDisk({"X": Stack([Rows(path)], [None])}, places=[path], **read_labels(path))


@readers.rows.register
def _(X: Rows, offsets=None):
    return X.__getitem__


NEW = {".mtxnpz": (write_npz, read_npz), ".rows": (write_rows, read_rows)}


@pytest.fixture(params=NEW)
def write(request, monkeypatch, tmp_path):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 70)
    writes, reads = NEW[request.param]
    monkeypatch.setitem(FORMATS, request.param, Format("a matrix of this test", reads))

    def written(adata, name="cells"):
        path = tmp_path / f"{name}{request.param}"
        writes(adata, path)
        return path

    return written


def markers(adata):
    found = smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    return smg.get.markers(adata if found is None else found).astype({"group": str})


def test_the_markers_are_those_of_the_same_cells_in_memory(adata, write):
    pd.testing.assert_frame_equal(markers(write(adata)), markers(adata))


def test_several_files_are_one_data_set_also_with_an_h5ad_file_among_them(adata, write, tmp_path):
    adata[100:].copy().write_h5ad(tmp_path / "rest.h5ad")
    pd.testing.assert_frame_equal(markers([write(adata[:100]), tmp_path / "rest.h5ad"]), markers(adata))


def test_the_command_reads_it(adata, write, tmp_path):
    path, out = write(adata), tmp_path / "out"
    assert main(["find", str(path), "--groupby", "cell_type", "--out", str(out), "--no-figures"]) == 0
    smg.tl.smash(adata, "cell_type")
    expected = smg.get.markers(adata).astype({"group": str}).reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_csv(out / "markers.csv"), expected, check_dtype=False, rtol=1e-5)


def test_what_is_wrong_with_it_is_said_in_its_own_words(adata, write):
    path = write(adata)
    path.with_suffix(".genes.csv").unlink()
    with pytest.raises(ValueError, match=r"cannot be read as a matrix of this test of annotated cells \(FileNotFound"):
        smg.read(path)
