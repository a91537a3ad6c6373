"""Files as they are in the field: however a matrix is stored, it is the same matrix, and it stays on disk."""

import os
import resource
import tracemalloc
from contextlib import nullcontext, suppress
from itertools import product
from pathlib import Path

import anndata as ad
import h5py
import numcodecs
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.abc import CSCDataset, CSRDataset
from cells import with_int64_indices
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import raw_of
from smash_gpu.annotated.read import read as read_dataset
from smash_gpu.blocks.readers import by_rows
from smash_gpu.cli import main
from smash_gpu.io import concat, csc_to_csr, hdf5, integrity, open
from smash_gpu.io.lazy import OnDisk
from smash_gpu.io.open import open_file
from smash_gpu.io.stack import Stack, take_columns
from smash_gpu.runtime import atomic, memory, spill

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]
FEW_TREES = {"n_estimators": 10}


@pytest.fixture
def on_disk(monkeypatch):
    """Every file counts as large."""
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 50)


def stats(adata, groupby="cell_type", **source):
    return read_dataset(adata, {"groupby": groupby, **source}).stats


def assert_same(found, expected):
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.detected, expected.detected)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.total, expected.total, rtol=1e-6)
    np.testing.assert_allclose(found.square, expected.square, rtol=1e-6)


def markers(adata, **options):
    found = smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, **options)
    return smg.get.markers(adata if found is None else found).astype({"group": str})


FORMS = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda X: X.toarray()}
PLACES = {"X": {}, "layer": {"layer": "counts"}, "raw": {"use_raw": True}}


def placed(adata, matrix, place):
    """``matrix`` as ``X``, layer or raw; elsewhere lies something that would give other results."""
    other = sparse.csr_matrix(np.ones(adata.shape, dtype=np.float32))
    found = ad.AnnData(matrix if place == "X" else other, obs=adata.obs.copy(), var=adata.var.copy())
    if place == "layer":
        found.layers["counts"] = matrix
    if place == "raw":
        found.raw = ad.AnnData(matrix, obs=adata.obs, var=adata.var)
    return found


@pytest.mark.parametrize(("form", "place", "suffix"), [*product(FORMS, PLACES, ["h5ad", "zarr"])])
def test_every_form_in_every_place_gives_the_same_statistics(adata, tmp_path, on_disk, form, place, suffix):
    path = tmp_path / f"cells.{suffix}"
    getattr(placed(adata, FORMS[form](adata.X), place), f"write_{suffix}")(path)
    assert_same(stats(open_file(path), **PLACES[place]), stats(adata))


@pytest.mark.parametrize(("form", "place"), [("csc", "X"), ("dense", "layer"), ("csr", "raw"), ("csc", "raw")])
def test_and_the_same_markers(adata, tmp_path, on_disk, form, place):
    path = tmp_path / "cells.h5ad"
    placed(adata, FORMS[form](adata.X), place).write_h5ad(path)
    pd.testing.assert_frame_equal(markers(path, **PLACES[place]), markers(adata))


@pytest.mark.parametrize(("form", "codec"), [*product(FORMS, ["gzip", "lzf"])])
def test_compressed_h5ad(adata, tmp_path, on_disk, form, codec):
    placed(adata, FORMS[form](adata.X), "X").write_h5ad(tmp_path / "cells.h5ad", compression=codec)
    assert_same(stats(open_file(tmp_path / "cells.h5ad")), stats(adata))


CODECS = {"zstd": (hdf5.ZSTD, (3,), numcodecs.Zstd()), "blosc": (hdf5.BLOSC, (2, 2, 4, 4000), numcodecs.Blosc())}


def compress(file, name, codec):
    """Write an array of an HDF5 file again as hdf5plugin would, which is not installed."""
    code, options, packer = CODECS.get(codec, (32004, (0,), numcodecs.LZ4()))
    values = file[name][...]
    del file[name]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    chunk = tuple(min(1000, n) for n in values.shape)
    properties.set_chunk(chunk)
    properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, options)
    kind = h5py.h5t.py_create(values.dtype, logical=True)
    space = h5py.h5s.create_simple(values.shape)
    array = h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, properties))
    for start in range(0, values.shape[0], chunk[0]):
        part = np.zeros(chunk, dtype=values.dtype)
        part[: min(chunk[0], values.shape[0] - start)] = values[start : start + chunk[0]]
        array.id.write_direct_chunk((start, 0)[: values.ndim], bytes(packer.encode(np.ascontiguousarray(part))))


@pytest.mark.parametrize(("form", "codec"), [*product(["csr", "csc"], CODECS)])
def test_zstd_and_blosc_need_no_plugin(adata, tmp_path, on_disk, form, codec):
    path = tmp_path / "cells.h5ad"
    placed(adata, FORMS[form](adata.X), "X").write_h5ad(path)
    with h5py.File(path, "a") as file:
        for name in ("X/data", "X/indices", "X/indptr"):
            compress(file, name, codec)
    assert_same(stats(open_file(path)), stats(adata))
    read_dataset(open_file(path), {"groupby": "cell_type"}, tmp_path / "work")


@pytest.mark.parametrize(
    ("form", "codec", "lazily"), [("csr", "lz4", True), ("dense", "zstd", True), ("csr", "zstd", False)]
)
def test_a_codec_that_is_not_known_is_named_with_the_way_out(adata, tmp_path, form, codec, lazily):
    path = tmp_path / "cells.h5ad"
    placed(adata, FORMS[form](adata.X), "X").write_h5ad(path)
    with h5py.File(path, "a") as file:
        compress(file, "X" if form == "dense" else "X/data", codec)
    with pytest.raises(ValueError, match=rf"cells\.h5ad.*compressed with {codec}.*pip install hdf5plugin"):
        open_file(path, lazily=lazily)


KINDS = ("uint8", "uint16", "int32", "int64", "float32", "float64")


@pytest.mark.parametrize(("form", "kind"), [*product(["csr", "csc", "dense"], KINDS)])
def test_counts_of_every_type(adata, tmp_path, on_disk, form, kind):
    placed(adata, FORMS[form](adata.X.astype(kind)), "X").write_h5ad(tmp_path / "cells.h5ad")
    found = open_file(tmp_path / "cells.h5ad")
    assert_same(stats(found), stats(adata))
    assert by_rows(found.X).dtype == kind


@pytest.mark.parametrize(("form", "suffix"), [*product(["csr", "csc"], ["h5ad", "zarr"])])
def test_64_bit_indices(adata, tmp_path, on_disk, form, suffix):
    path = tmp_path / f"cells.{suffix}"
    getattr(placed(adata, with_int64_indices(FORMS[form](adata.X)), "X"), f"write_{suffix}")(path)
    found = open_file(path)
    assert found.X.group["indices"].dtype == np.int64
    assert_same(stats(found), stats(adata))


def irregular(matrix):
    """The same matrix with a zero stored, the values of a row in another order, and one value in two parts."""
    data, indices, indptr = matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy()
    for first, last in zip(indptr[:-1], indptr[1:], strict=True):
        data[first:last], indices[first:last] = data[first:last][::-1], indices[first:last][::-1]
    at = indptr[-2]
    data = np.insert(data, [at, at], [0, 1])
    free = np.setdiff1d(np.arange(matrix.shape[1 if matrix.format == "csr" else 0]), indices[at:])[0]
    indices = np.insert(indices, [at, at], [free, indices[at]])
    data[at + 2] -= 1
    indptr[-1] += 2
    return type(matrix)((data, indices, indptr), matrix.shape)


@pytest.mark.parametrize(("form", "suffix"), [*product(["csr", "csc"], ["h5ad", "zarr"])])
def test_explicit_zeros_unsorted_indices_and_duplicates(adata, tmp_path, on_disk, form, suffix):
    path = tmp_path / f"cells.{suffix}"
    matrix = irregular(FORMS[form](adata.X))
    assert not matrix.has_sorted_indices
    assert (matrix != adata.X).nnz == 0
    store = h5py.File(path, "w") if suffix == "h5ad" else zarr.open_group(path, mode="w")
    for name, element in {"obs": adata.obs, "var": adata.var, "X": matrix}.items():
        ad.io.write_elem(store, name, element)
    (store.file if suffix == "h5ad" else store.store).close()
    assert_same(stats(open_file(path)), stats(adata))


@pytest.mark.parametrize("form", FORMS)
def test_cells_without_counts(adata, tmp_path, on_disk, form):
    adata.X[np.r_[0, 1, 49, 50, 239]] = 0
    adata.X.eliminate_zeros()
    placed(adata, FORMS[form](adata.X), "X").write_h5ad(tmp_path / "cells.h5ad")
    assert_same(stats(open_file(tmp_path / "cells.h5ad")), stats(adata))


ZARRS = {
    "v2": (2, {}),
    "v3": (3, {}),
    "v3, sharded": (3, {"chunks": (500,), "shards": (2000,)}),
}


@pytest.mark.parametrize(("kind", "form"), [*product(ZARRS, ["csr", "csc"])])
def test_zarr_of_every_format(adata, tmp_path, on_disk, kind, form):
    version, options = ZARRS[kind]
    store = zarr.open_group(tmp_path / "cells.zarr", mode="w", zarr_format=version)
    for name, element in {"obs": adata.obs, "var": adata.var}.items():
        ad.io.write_elem(store, name, element)
    ad.io.write_elem(store, "X", FORMS[form](adata.X), dataset_kwargs=options)
    found = open_file(tmp_path / "cells.zarr")
    assert found.X.group.metadata.zarr_format == version
    assert (found.X.group["data"].shards is not None) == ("shards" in options)
    assert_same(stats(found), stats(adata))


LABELS = {
    "categories": lambda codes: pd.Categorical.from_codes(codes, ["a", "b", "c"]),
    "ordered categories": lambda codes: pd.Categorical.from_codes(codes, ["a", "b", "c"], ordered=True),
    "strings": lambda codes: np.array(["a", "b", "c"], dtype=object)[codes],
    "integers": lambda codes: codes.astype(np.int64),
    "booleans": lambda codes: codes > 0,
    "nullable integers": lambda codes: pd.array(codes, dtype="Int64"),
    "nullable booleans": lambda codes: pd.array(codes > 0, dtype="boolean"),
}


@pytest.mark.parametrize(("kind", "suffix"), [*product(LABELS, ["h5ad", "zarr"])])
def test_labels_of_every_kind(adata, tmp_path, on_disk, kind, suffix):
    adata.obs["label"] = LABELS[kind](adata.obs["cell_type"].cat.codes.to_numpy())
    path = tmp_path / f"cells.{suffix}"
    getattr(adata.copy(), f"write_{suffix}")(path, convert_strings_to_categoricals=False)
    found = read_dataset(open_file(path), {"groupby": "label"})
    expected = read_dataset(adata, {"groupby": "label"})
    assert found.groups.tolist() == expected.groups.tolist()
    assert_same(found.stats, expected.stats)


def test_categories_as_anndata_kept_them_before_0_8(adata, tmp_path, on_disk):
    """In one group ``__categories``, to which the codes refer."""
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        column = adata.obs["cell_type"]
        del file["obs/cell_type"]
        file["obs/__categories/cell_type"] = column.cat.categories.to_numpy(dtype=object)
        file["obs/cell_type"] = column.cat.codes.to_numpy()
        file["obs/cell_type"].attrs["categories"] = file["obs/__categories/cell_type"].ref
        file["obs"].attrs["encoding-version"] = "0.1.0"
    assert_same(stats(open_file(path)), stats(adata))


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
@pytest.mark.parametrize("lazily", [False, True])
def test_a_file_of_an_anndata_before_0_7(adata, tmp_path, lazily):
    """Tables of records, categories in ``uns``, and ``h5sparse`` matrices."""
    column = adata.obs["cell_type"]
    cells = np.zeros(adata.n_obs, dtype=[("index", "S8"), ("cell_type", "i1")])
    cells["index"], cells["cell_type"] = adata.obs_names.to_numpy(dtype="S8"), column.cat.codes
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file["obs"] = cells
        file["var"] = np.array([(name.encode(),) for name in adata.var_names], dtype=[("index", "S8")])
        file["uns/cell_type_categories"] = column.cat.categories.to_numpy(dtype="S8")
        file["X/data"], file["X/indices"], file["X/indptr"] = adata.X.data, adata.X.indices, adata.X.indptr
        file["X"].attrs.update({"h5sparse_format": "csr", "h5sparse_shape": adata.shape})
    found = open_file(tmp_path / "old.h5ad", lazily=lazily)
    assert isinstance(found.X, CSRDataset) == lazily
    assert found.obs["cell_type"].tolist() == column.tolist()
    assert_same(stats(found), stats(adata))


def with_everything(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata
    adata.obsm["X_pca"] = np.ones((adata.n_obs, 2))
    adata.uns["note"] = "kept"
    adata.varm["loadings"] = np.arange(2.0 * adata.n_vars).reshape(-1, 2)
    return adata


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


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """No matrix on disk is read but in blocks of consecutive cells."""

    def loaded(*_):
        raise AssertionError("a whole matrix was loaded")

    for kind in (CSRDataset, CSCDataset):
        monkeypatch.setattr(kind, "to_memory", loaded)
        monkeypatch.setattr(kind, "__getitem__", loaded)
    monkeypatch.setattr(Stack, "to_memory", loaded)


def own_choice(cells, n_genes):
    assert isinstance(cells, OnDisk)
    markers(cells, layer="counts")
    return smg.get.marker_panel(cells, n_genes)


STEPS = {
    "smash": lambda adata: smg.tl.smash(adata, "cell_type", model_options=FEW_TREES),
    "smash of a layer": lambda adata: smg.tl.smash(adata, "cell_type", layer="counts", model_options=FEW_TREES),
    "smash of raw": lambda adata: smg.tl.smash(adata, "cell_type", use_raw=True, model_options=FEW_TREES),
    "smash of raw as X": lambda adata: smg.tl.smash(raw_of(adata), "cell_type", model_options=FEW_TREES),
    "panel": lambda adata: smg.tl.panel(adata, "cell_type", n_genes=5),
    "own choice in splits": lambda adata: smg.tl.evaluate(adata, "cell_type", genes=own_choice, n_genes=3, n_splits=1),
}  # fmt: skip


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_step_loads_a_whole_matrix(adata, tmp_path, on_disk, nothing_is_loaded, step, form):
    adata.X = FORMS[form](adata.X)
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
    step(open_file(tmp_path / "cells.h5ad"))


def test_raw_of_a_file_that_a_user_opened_stays_on_disk(adata, tmp_path, on_disk, nothing_is_loaded):
    with_everything(adata).write_h5ad(tmp_path / "cells.h5ad")
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


# --- stored by genes ----------------------------------------------------------------------------------------------


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


@pytest.fixture(autouse=True)
def nothing_is_converted_yet():
    csc_to_csr._folders.clear()


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


# --- several files ------------------------------------------------------------------------------------------------


def split(adata, folder, *, suffixes=("h5ad", "zarr", "h5ad"), change=lambda part, number: part):
    """The cells in three files, the genes of each in another order."""
    paths = []
    for number, (suffix, cells) in enumerate(zip(suffixes, np.split(np.arange(adata.n_obs), [70, 171]), strict=True)):
        genes = np.random.default_rng(number).permutation(adata.n_vars) if number else slice(None)
        part = change(adata[cells, genes].copy(), number)
        paths.append(folder / f"part{number}.{suffix}")
        getattr(part, f"write_{suffix}")(paths[-1])
    return paths


@pytest.fixture(params=["in memory", "on disk"])
def wherever(request, monkeypatch):
    """Several files in memory, and left on disk."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 50)
    if request.param == "on disk":
        monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    return request.param


@pytest.mark.parametrize("form", FORMS)
def test_several_files_are_one_data_set(adata, tmp_path, wherever, form):
    def change(part, number):
        part.X = FORMS[form](part.X) if number else part.X
        return part

    paths = split(adata, tmp_path, change=change)
    found = concat.open_cells(paths, {"groupby": "cell_type"})
    assert isinstance(found, OnDisk) == (wherever == "on disk")
    assert found.var_names.tolist() == adata.var_names.tolist()
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert found.obs["cell_type"].astype(str).tolist() == adata.obs["cell_type"].astype(str).tolist()
    assert found.obs["file"].value_counts(sort=False).to_dict() == {"part0": 70, "part1": 101, "part2": 69}
    assert (sparse.csr_matrix(found[:].X) != adata.X).nnz == 0
    assert_same(stats(found), stats(adata))


@pytest.mark.parametrize("place", PLACES)
def test_several_files_give_the_markers_of_one(adata, tmp_path, wherever, place):
    split(placed(adata, adata.X, place), tmp_path)
    pd.testing.assert_frame_equal(
        markers(str(tmp_path / "part*"), **PLACES[place]), markers(placed(adata, adata.X, place), **PLACES[place])
    )


def test_finished_stages_of_several_files_are_found_again_until_one_changes(adata, tmp_path, on_disk, monkeypatch):
    adata.X = adata.X.tocsc()
    paths = split(adata, tmp_path)
    first = markers(paths, work=tmp_path / "work")
    made = sorted((tmp_path / "work").rglob("*"))
    assert sum(path.name.startswith("by-cells") for path in made) == 3

    def again(*_, **__):
        raise AssertionError("done again")

    with monkeypatch.context() as no_more:
        no_more.setattr("smash_gpu.data.dataset.group_stats", again)
        no_more.setattr(csc_to_csr, "_convert", again)
        pd.testing.assert_frame_equal(markers(paths, work=tmp_path / "work"), first)
    os.utime(paths[2], (0, 0))
    with pytest.warns(UserWarning, match="holds stages of .*part0.*, or have changed since"):
        markers(paths, work=tmp_path / "work")


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_step_loads_several_files(adata, tmp_path, on_disk, nothing_is_loaded, step):
    paths = split(with_everything(adata), tmp_path)
    step(concat.open_cells(paths, {"use_raw": True} if "raw" in next(n for n, s in STEPS.items() if s is step) else {}))


def test_the_command_line_takes_several_files_and_patterns(adata, tmp_path, wherever, capsys):
    paths = split(adata, tmp_path)
    smg.tl.smash(adata, "cell_type")
    expected = smg.get.markers(adata).astype({"group": str})
    for number, data in enumerate((paths, [tmp_path / "part*"])):
        out = tmp_path / str(number)
        command = ["find", *map(str, data), "--groupby", "cell_type", "--out", str(out), "--no-figures"]
        assert main(command) == 0
        pd.testing.assert_frame_equal(
            pd.read_csv(out / "markers.csv"), expected.reset_index(drop=True), check_dtype=False, rtol=1e-5
        )
    assert "3 files: 240 cells × 60 genes" in capsys.readouterr().out


def test_the_file_of_a_cell_can_be_its_sample(adata, tmp_path, wherever):
    found = smg.tl.smash(split(adata, tmp_path), "cell_type", sample_key="file", model_options=FEW_TREES)
    assert (smg.get.markers(found)["samples"] == 1).all()


def with_other_genes(part, number):
    """The second file lacks ten genes, the third has two of its own."""
    if number == 1:
        return part[:, ~part.var_names.isin([f"NOISE{i}" for i in range(50, 60)])].copy()
    if number == 2:
        own = ad.AnnData(sparse.csr_matrix(np.ones((part.n_obs, 2), dtype=np.float32)), obs=part.obs)
        own.var_names = ["OWN1", "OWN2"]
        return ad.concat([part, own], axis=1, merge="same")
    return part


def test_genes_are_joined_by_name_and_what_does_not_match_is_told(adata, tmp_path, wherever):
    paths = split(adata, tmp_path, change=with_other_genes)
    with pytest.warns(UserWarning, match="the 3 files have 50 genes in common") as told:
        found = concat.open_cells(paths, {})
    (said,) = [str(w.message) for w in told if "in common" in str(w.message)]
    assert "part0: 10 of 60 genes, e.g. NOISE50" in said
    assert "part1" not in said
    assert "part2: 12 of 62 genes" in said
    assert "fewer than half" not in said
    expected = adata[:, :50].copy()
    assert found.var_names.tolist() == expected.var_names.tolist()
    assert found.uns["smash_files"]["left_out"].tolist() == [10, 0, 12]
    assert_same(stats(found), stats(expected))


def renamed(change):
    def of_third(part, number):
        if number == 2:
            part.var["symbol"] = part.var_names.to_numpy()
            part.var_names = change(part.var_names)
        return part

    return of_third


def half(names):
    return [f"OTHER{i}" if i % 3 else name for i, name in enumerate(names)]


REASONS = {
    "versions": (lambda names: names + ".1", r"no genes in common.*part2.*versions in one.*str\.replace"),
    "case": (lambda names: names.str.title(), r"different species.*part2.*the case of the letters differs.*upper"),
    "dashes": (lambda names: names.str.replace("NOISE", "NOISE-"), r"9 genes in common, fewer than half.*dashes"),
    "Ensembl ids": (
        lambda names: [f"ENSG{i:011d}" for i in range(len(names))],
        r"no genes in common.*part2.*These are Ensembl ids, and those of part0 are symbols.*adata\.var\['symbol'\]",
    ),
    "few": (half, "20 genes in common, fewer than half"),
}


@pytest.mark.parametrize(("change", "message"), REASONS.values(), ids=REASONS)
def test_why_genes_do_not_match_is_told_with_the_way_out(adata, tmp_path, change, message):
    paths = split(adata, tmp_path, change=renamed(change))
    if "fewer" in message:
        with pytest.warns(UserWarning, match=f"(?s){message}"):
            concat.open_cells(paths, {})
    else:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            concat.open_cells(paths, {})


def test_a_mixture_of_species_is_an_error(adata, tmp_path):
    paths = split(adata, tmp_path, change=renamed(lambda names: [f"Gene{i}" for i in range(len(names))]))
    with pytest.raises(ValueError, match="different species, part0 human, part1 human, part2 mouse"):
        concat.open_cells(paths, {})


def without(what):
    def change(part, number):
        if number == 1:
            if what == "column":
                del part.obs["cell_type"]
            elif what == "layer":
                del part.layers["counts"]
            elif what == "raw":
                del part.raw
            elif what == "X":
                part.X = None
            elif what == "names":
                part.var_names = ["MARKER0X", "MARKER0X", *part.var_names[2:]]
        return part

    return change


LACKING = {
    "column": ({"groupby": "cell_type"}, KeyError, "part1: obs has no column 'cell_type'.*Columns: sample"),
    "layer": ({"layer": "counts"}, KeyError, "part1 has no layer 'counts'.*Layers: none"),
    "raw": ({"use_raw": True}, ValueError, "use_raw was asked for, but part1 has no raw"),
    "X": ({}, ValueError, r"part1 has no X: pass layer= \(layers: counts\)"),
    "names": ({}, ValueError, "part1: 1 gene name.*MARKER0X.*var_names_make_unique"),
}


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(("what", "case"), LACKING.items(), ids=LACKING)
def test_what_one_file_lacks_is_told_with_its_name(adata, tmp_path, what, case):
    source, kind, message = case
    paths = split(with_everything(adata), tmp_path, change=without(what))
    with pytest.raises(kind, match=message):
        concat.open_cells(paths, source)


def test_labels_that_differ_in_case_or_spaces_only_are_pointed_out(adata, tmp_path):
    def change(part, number):
        other = {"B / b": " b  /_B", "A": "a"} if number == 2 else {}
        part.obs["cell_type"] = part.obs["cell_type"].astype(str).replace(other)
        return part

    with pytest.warns(
        UserWarning, match=r"'cell_type' .*'B / b' \(part0\) and ' b  /_B' \(part2\); 'A' \(part0\) and 'a' \(part2\)"
    ):
        concat.open_cells(split(adata, tmp_path, change=change), {"groupby": "cell_type"})


def test_columns_of_all_files_are_united(adata, tmp_path, wherever):
    def change(part, number):
        codes = part.obs["cell_type"].cat.codes.to_numpy()
        part.obs["number"] = codes.astype(np.float64 if number else np.int64)
        part.obs["cluster"] = codes if number else pd.Categorical(codes.astype(str))
        if number == 1:
            part.obs["only here"], part.obs["flag"] = "yes", codes > 0
        part.obs_names = [f"cell{i}" for i in range(part.n_obs)]
        return part

    found = concat.open_cells(split(adata, tmp_path, change=change), {})
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    assert found.obs["number"].tolist() == codes.tolist()
    assert found.obs["cluster"].astype(str).tolist() == list(map(str, codes))
    assert found.obs["only here"].notna().to_numpy().nonzero()[0].tolist() == list(range(70, 171))
    assert found.obs["flag"].isna().sum() == 240 - 101
    assert found.obs_names.is_unique
    assert found.obs_names[70] == "cell0-part1"
    with pytest.warns(UserWarning, match="without the matrices") if wherever == "on disk" else nullcontext():
        found.write_h5ad(tmp_path / "whole.h5ad")


def test_files_of_one_name_are_told_apart_by_their_folders(adata, tmp_path):
    for number, path in enumerate(split(adata, tmp_path, suffixes=("h5ad",) * 3)):
        (tmp_path / f"run{number}").mkdir()
        path.rename(tmp_path / f"run{number}" / "counts.h5ad")
    found = concat.open_cells(tmp_path / "run*" / "counts.h5ad", {})
    assert list(found.obs["file"].cat.categories) == ["run0/counts", "run1/counts", "run2/counts"]


NO_FILES = {
    "a pattern that nothing fits": ("*.h5ad", FileNotFoundError, r"no file fits '.*\*\.h5ad'"),
    "an empty list": ([], ValueError, "the list is empty"),
}


@pytest.mark.parametrize(("paths", "kind", "message"), NO_FILES.values(), ids=NO_FILES)
def test_no_files_at_all(tmp_path, paths, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.smash(str(tmp_path / paths) if isinstance(paths, str) else paths, "cell_type")


def test_one_of_several_files_that_is_not_there_or_there_twice(adata, tmp_path):
    paths = split(adata, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"part3\.h5ad.*Did you mean"):
        smg.tl.smash([*paths, tmp_path / "part3.h5ad"], "cell_type")
    with pytest.raises(ValueError, match=r"part0\.h5ad is given twice"):
        smg.tl.smash([*paths, tmp_path / "." / "part0.h5ad"], "cell_type")


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_too_many_files_are_told_from_damaged_ones(adata, tmp_path, on_disk, suffix):
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found, (soft, hard) = open_file(path), resource.getrlimit(resource.RLIMIT_NOFILE)
    told = integrity.telling(found.X, lambda _: tmp_path.joinpath("chunk").open("w"))
    reads = [lambda: open_file(path), lambda: open_file(path, lazily=False), lambda: told(slice(5))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(p.name) for p in Path("/proc/self/fd").iterdir()) + 3, hard))
    handles = []
    try:
        with suppress(OSError):
            while True:
                handles.append(os.open(os.devnull, os.O_RDONLY))
        for read in reads:
            with pytest.raises(OSError, match=rf"cells\.{suffix}.* too many files are open: .* ulimit -n"):
                read()
    finally:
        for handle in handles:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_paths_may_come_from_a_generator_or_an_array(adata, tmp_path):
    paths = split(adata, tmp_path)
    expected = markers(paths)
    for several in (iter(paths), tuple(paths), np.array(list(map(str, paths))), np.array(paths), pd.Series(paths)):
        pd.testing.assert_frame_equal(markers(several), expected)


OTHERS = [None, 3, np.ones((2, 2)), sparse.eye(3, format="csr"), {"a": "b"}, [b"a.h5ad"]]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: type(other).__name__)
def test_what_is_neither_data_nor_paths_is_named(other):
    with pytest.raises(TypeError, match=r"AnnData, or a path, a pattern or several of those, are accepted, not \w+"):
        smg.tl.smash(other, "cell_type")


def test_other_steps_ask_for_annotated_data(tmp_path):
    with pytest.raises(TypeError, match="takes annotated data"):
        smg.pp.filter_genes(["a.h5ad", "b.h5ad"], "cell_type")


def test_columns_of_csr_are_taken_in_order(rng):
    matrix = sparse.random(40, 30, 0.3, format="csr", random_state=0)
    for columns in (
        rng.permutation(30),
        np.arange(30),
        np.array([7, 3, 20]),
        np.array([], dtype=int),
        np.array([7, 7, 3]),
    ):
        taken = take_columns(matrix, columns)
        np.testing.assert_array_equal(taken.toarray(), matrix.toarray()[:, columns])
        assert taken.has_canonical_format


# --- what is no h5ad file -----------------------------------------------------------------------------------------


def loom(path):
    with h5py.File(path, "w") as file:
        file["matrix"] = np.eye(3)
        file.create_group("row_attrs")


def ten_x(path):
    with h5py.File(path, "w") as file:
        file["matrix/barcodes"] = [b"A", b"B"]
        file["matrix/data"] = [1, 2]


def mudata(path):
    with h5py.File(path, "w") as file:
        file.create_group("mod/rna")


def text(path):
    path.write_text("1")


def ten_x_folder(path):
    path.mkdir()
    (path / "matrix.mtx.gz").touch()


def folder_of_files(path):
    path.mkdir()
    (path / "a.h5ad").touch()


OTHER_KINDS = {
    "cells.loom": (loom, r"loom file.*read_loom"),
    "cells.h5": (ten_x, r"10x Genomics.*read_10x_h5"),
    "cells.h5mu": (mudata, r"MuData.*mod\['rna'\]"),
    "cells.csv": (text, r"text.*read_csv"),
    "cells.tsv.gz": (text, r"text.*read_csv"),
    "matrix.mtx.gz": (text, r"read_10x_mtx"),
    "cells.rds": (text, r"R object.*anndataR"),
    "filtered": (ten_x_folder, r"zarr store.*read_10x_mtx"),
    "many": (folder_of_files, r"folder with a\.h5ad.*many/\*\.h5ad"),
    "cells": (text, r"write_h5ad"),
}


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize(("name", "case"), OTHER_KINDS.items(), ids=OTHER_KINDS)
def test_another_kind_of_file_is_named_with_the_way_out(tmp_path, name, case, lazily):
    write, message = case
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read.*{message}"):
        open_file(tmp_path / name, lazily=lazily)
