"""Files and stores are opened, and what cannot be is named."""

from __future__ import annotations

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


@pytest.mark.parametrize("write", [a_text_file, another_hdf5_file, a_cut_off_file, an_empty_file])
def test_a_file_that_is_no_h5ad_is_named_with_the_way_out(tmp_path, write):
    path = tmp_path / "cells.h5ad"
    write(path)
    with pytest.raises(ValueError, match=r"cells\.h5ad cannot be read as an h5ad file.*write_h5ad"):
        smg.tl.smash(path, "cell_type")


def test_a_folder_that_is_no_zarr_store_is_named_with_the_way_out(tmp_path):
    (tmp_path / "cells").mkdir()
    with pytest.raises(ValueError, match=r"cells cannot be read as a zarr store.*write_zarr"):
        smg.tl.smash(tmp_path / "cells", "cell_type")
