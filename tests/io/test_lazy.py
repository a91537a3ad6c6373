"""Matrices stay on disk, and their files are never overwritten."""

from __future__ import annotations

import pickle
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.abc import CSRDataset
from cases.files import FEW_TREES, FORMS, STEPS, assert_same, split, stats, with_everything
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import raw_of
from smash_gpu.cli import main
from smash_gpu.io import concat
from smash_gpu.io.open import open_file

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_matrices_stay_on_disk_and_tables_are_read(adata, tmp_path, on_disk, suffix):
    path = tmp_path / f"cells.{suffix}"
    getattr(with_everything(adata), f"write_{suffix}")(path)
    found = open_file(path)
    assert all(isinstance(X, CSRDataset) for X in (found.X, found.layers["counts"], found.raw.X))
    assert found.uns["note"] == "kept"
    np.testing.assert_array_equal(found.varm["loadings"], adata.varm["loadings"])
    assert not found.obsm
    pd.testing.assert_frame_equal(found.obs, adata.obs, check_categorical=False)
    whole = found.to_memory()
    for X in (whole.X, whole.layers["counts"], whole.raw.X):
        assert (X != adata.X).nnz == 0


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_step_loads_a_whole_matrix(adata, tmp_path, on_disk, nothing_is_loaded, step, form):
    adata.X = FORMS[form](adata.X)
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    step(open_file(tmp_path / "cells.h5ad"))


def test_raw_of_a_file_that_a_user_opened_stays_on_disk(adata, tmp_path, on_disk, nothing_is_loaded):
    with_everything(adata)
    del adata.layers["counts"]  # AnnData loads layers when it opens a file
    adata.write_h5ad(tmp_path / "cells.h5ad")
    opened = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    file = h5py.File(tmp_path / "cells.h5ad")
    made = ad.AnnData(ad.io.sparse_dataset(file["X"]), obs=adata.obs, var=adata.var)
    made.raw = ad.AnnData(ad.io.sparse_dataset(file["raw/X"]), var=adata.var)
    for found in (opened, made):
        raw = raw_of(found)
        assert isinstance(raw.X, CSRDataset)
        assert_same(stats(raw), stats(adata))


def test_the_command_line_selects_inside_splits_without_loading(adata, tmp_path, on_disk, nothing_is_loaded, capsys):
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    options = ["--select", "rf", "panel", "--n-genes", "5", "--n-splits", "1", "--use-raw"]
    assert main(["evaluate", str(tmp_path / "cells.h5ad"), "--groupby", "cell_type", *options]) == 0, (
        capsys.readouterr()
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("index", [slice(3, 90), np.arange(200, 20, -3), np.arange(240) % 7 == 0, np.array([5, 5, 0]),
                                   np.array([0, 0, 2])],
                         ids=["slice", "backwards", "mask", "twice", "as many as their span"])  # fmt: skip
def test_a_part_is_that_part(adata, tmp_path, on_disk, form, index):
    adata.X = FORMS[form](adata.X)
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    found = open_file(tmp_path / "cells.h5ad")[index]
    expected = adata[index]
    assert found.obs_names.tolist() == expected.obs_names.tolist()
    for X, Y in (
        (found.X, expected.X),
        (found.layers["counts"], expected.layers["counts"]),
        (found.raw.X, expected.raw.X),
    ):
        np.testing.assert_array_equal(X.toarray(), sparse.csr_matrix(Y).toarray())
    part = found[2:9, ["MARKER1X", "MARKER0X"]]
    np.testing.assert_array_equal(
        part.X.toarray(), sparse.csr_matrix(expected[2:9, ["MARKER1X", "MARKER0X"]].X).toarray()
    )
    np.testing.assert_array_equal(part.varm["loadings"], adata[:, ["MARKER1X", "MARKER0X"]].varm["loadings"])


@pytest.mark.parametrize("form", FORMS)
def test_the_last_cell_and_gene_and_a_gene_twice(adata, tmp_path, on_disk, form):
    expected = adata.X.toarray()
    adata.X = FORMS[form](adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    found = open_file(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(found[-1].X.toarray(), expected[-1:])
    np.testing.assert_array_equal(found[np.int64(-2), -1].X.toarray(), expected[-2:-1, -1:])
    np.testing.assert_array_equal(found[:, [5, 5, 0]].X.toarray(), expected[:, [5, 5, 0]])
    names = adata.var_names[[9, 9, 3, 9]].tolist()
    np.testing.assert_array_equal(found[3:7, names].X.toarray(), expected[3:7, [9, 9, 3, 9]])


@pytest.mark.parametrize(
    "change",
    [
        lambda adata: setattr(adata, "X", None),
        lambda adata: setattr(adata, "layers", {"other": adata.X}),
        lambda adata: setattr(adata, "raw", adata),
        lambda adata: adata._inplace_subset_obs(slice(5)),
    ],
    ids=["X", "layers", "raw", "subset in place"],
)
def test_matrices_on_disk_cannot_be_changed(adata, tmp_path, on_disk, change):
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(TypeError, match=r"to_memory\(\)"):
        change(open_file(tmp_path / "cells.h5ad"))


@pytest.mark.slow
def test_results_are_written_without_the_matrices_and_that_is_said(adata, tmp_path, on_disk):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    found = smg.tl.smash(tmp_path / "cells.h5ad", "cell_type", model_options=FEW_TREES)
    for suffix in ("h5ad", "zarr"):
        path = tmp_path / f"results.{suffix}"
        with pytest.warns(UserWarning, match=r"without the matrices, which stay in .*cells\.h5ad"):
            getattr(found, f"write_{suffix}")(path)
        again = getattr(ad, f"read_{suffix}")(path)
        assert again.X is None
        pd.testing.assert_frame_equal(
            smg.get.markers(again), smg.get.markers(found), check_categorical=False, check_dtype=False
        )


@pytest.mark.slow
@pytest.mark.parametrize("spell", [str, Path, zarr.storage.LocalStore], ids=["str", "Path", "store"])
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("part", [slice(None), slice(3, 9)], ids=["whole", "part"])
def test_the_files_of_the_matrices_are_never_overwritten(adata, tmp_path, monkeypatch, suffix, spell, part):
    folder = tmp_path / "data"
    folder.mkdir()
    source = folder / f"cells.{suffix}"
    getattr(with_everything(adata), f"write_{suffix}")(source)
    (tmp_path / "link").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    found = open_file(source.relative_to(tmp_path), lazily=True)[part]
    expected = found.to_memory().X
    for target in (source, tmp_path / "link", folder, source / "layers", source / "layers" / "counts" / "new"):
        if spell is not zarr.storage.LocalStore:
            with pytest.raises(ValueError, match="holds the matrices themselves .* choose another name"):
                found.write_h5ad(spell(target))
        with pytest.raises(ValueError, match="holds the matrices themselves .* choose another name"):
            found.write_zarr(spell(target))
    assert (expected != open_file(source, lazily=True)[part].to_memory().X).nnz == 0
    with pytest.warns(UserWarning, match="without the matrices"):
        found.write_zarr(spell(folder / "results.zarr"))


def test_a_hard_link_and_several_files_are_not_overwritten_either(adata, tmp_path, on_disk):
    paths = split(adata, tmp_path)
    found = concat.open_cells(paths, {})
    (tmp_path / "other.h5ad").hardlink_to(paths[0])
    for target in (*paths, tmp_path / "other.h5ad"):
        with pytest.raises(ValueError, match="holds the matrices themselves"):
            found.write(target)


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_data_on_disk_can_be_pickled_and_stay_there(adata, tmp_path, on_disk, suffix):
    getattr(with_everything(adata), f"write_{suffix}")(tmp_path / f"cells.{suffix}")
    found = open_file(tmp_path / f"cells.{suffix}")
    for whole, expected in ((found, adata), (found[5:90:3, ["MARKER1X"]], adata[5:90:3, ["MARKER1X"]])):
        again = pickle.loads(pickle.dumps(whole))
        assert len(pickle.dumps(whole.matrices)) < 5000, "the values are not in it"
        assert again.uns["note"] == "kept"
        pd.testing.assert_frame_equal(again.obs, whole.obs)
        np.testing.assert_array_equal(again.varm["loadings"], expected.varm["loadings"])
        for X, Y in ((again.X, expected.X), (again.layers["counts"], expected.X), (again.raw.X, expected.raw.X)):
            np.testing.assert_array_equal(X[:].toarray(), Y.toarray())


def test_genes_of_raw_by_name(adata, tmp_path, on_disk):
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    found, genes = open_file(tmp_path / "cells.h5ad"), ["MARKER1X", "MARKER0X"]
    np.testing.assert_array_equal(found.raw[:, genes].X.toarray(), adata.raw[:, genes].X.toarray())
    np.testing.assert_array_equal(found[3:9].raw[:, genes].X.toarray(), adata.raw[3:9, genes].X.toarray())
    assert found.raw.copy().var_names.equals(adata.var_names)
    np.testing.assert_array_equal(found.raw.obs_vector("MARKER1X"), adata.raw.obs_vector("MARKER1X"))
