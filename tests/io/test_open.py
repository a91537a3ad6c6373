"""Files and stores are opened, and what cannot be is named."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from cases.steps import results, smash
from scipy import sparse

import smash_gpu as smg
from smash_gpu.io import open
from smash_gpu.io.open import open_file


@pytest.mark.parametrize("spell", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_open_file_reads_h5ad_and_zarr(adata, tmp_path, suffix, spell):
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found = open_file(spell(path))
    np.testing.assert_array_equal(found.X.toarray(), adata.X.toarray())
    pd.testing.assert_frame_equal(found.obs, adata.obs, check_categorical=False)
    assert found.var_names.tolist() == adata.var_names.tolist()


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_a_large_file_stays_on_disk_with_its_layers_and_results_are_the_same(adata, tmp_path, monkeypatch, suffix):
    adata.layers["counts"] = adata.X.copy()
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    found = open_file(path)
    assert not isinstance(found.X, np.ndarray | sparse.csr_matrix | sparse.csr_array)
    smash(found, layer="counts")
    smash(adata)
    pd.testing.assert_frame_equal(results(found), results(adata))


def test_a_missing_file_is_named_with_its_near_match(tmp_path):
    (tmp_path / "pbmc3k.h5ad").touch()
    with pytest.raises(FileNotFoundError, match=r"pbmc3.h5ad.*Did you mean 'pbmc3k.h5ad'"):
        open_file(tmp_path / "pbmc3.h5ad")


def test_a_file_in_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_file(tmp_path / "nowhere" / "cells.h5ad")


def a_text_file(path):
    path.write_text("gene,count\nMS4A1,3\n")


def another_hdf5_file(path):
    with h5py.File(path, "w") as file:
        file["matrix"] = np.eye(3)


def a_cut_off_file(path):
    ad.AnnData(np.eye(50, dtype=np.float32)).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:2000])


def an_empty_file(path):
    path.touch()


@pytest.mark.parametrize(
    ("write", "way_out"),
    [
        (a_text_file, "write_h5ad"),
        (another_hdf5_file, "write_h5ad"),
        (an_empty_file, "write_h5ad"),
        (a_cut_off_file, "It is damaged.*copy or create it again"),
    ],
)
def test_a_file_that_is_no_h5ad_is_named_with_the_way_out(tmp_path, write, way_out):
    path = tmp_path / "cells.h5ad"
    write(path)
    with pytest.raises(ValueError, match=rf"cells\.h5ad cannot be read as an h5ad file.*{way_out}"):
        smg.tl.smash(path, "cell_type")


def test_a_folder_that_is_no_zarr_store_is_named_with_the_way_out(tmp_path):
    (tmp_path / "cells").mkdir()
    with pytest.raises(ValueError, match=r"cells cannot be read as a zarr store.*write_zarr"):
        smg.tl.smash(tmp_path / "cells", "cell_type")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("GSE1.h5ad.gz", b"\x1f\x8b\x08\x00", "unpack it first, with gunzip"),
        ("cells.zarr.zip", b"PK\x03\x04", "unpack it first, with unzip"),
        ("login.h5ad", b"\n<!DOCTYPE html><html>Please log in</html>", "a web page, not the data"),
        ("pointer.h5ad", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    ],
)
def test_what_lies_in_the_place_of_a_file_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as raised:
        smg.read(tmp_path / name)
    assert name in str(raised.value)
    assert "write_h5ad" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://example.org/cells.h5ad", "s3://bucket/cells.zarr"])
@pytest.mark.parametrize("spell", [str, Path])
def test_a_url_is_to_be_downloaded_first(url, spell):
    with pytest.raises(ValueError, match="is a URL.*download it first"):
        smg.read(spell(url))


def test_the_home_folder_may_be_a_tilde(adata, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert smg.read("~/cells.h5ad").shape == adata.shape
    assert smg.read(["~/cells.h5ad"]).shape == adata.shape
