"""However a matrix is stored, it is the same matrix."""

from __future__ import annotations

from itertools import product

import anndata as ad
import h5py
import numcodecs
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.abc import CSRDataset
from cases.files import FORMS, PLACES, assert_same, markers, placed, stats
from cells import with_int64_indices
from scipy import sparse

from smash_gpu.annotated.read import read as read_dataset
from smash_gpu.blocks.readers import by_rows
from smash_gpu.io import hdf5
from smash_gpu.io.open import open_file

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


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


@pytest.mark.parametrize(("kind", "suffix"), [*product(["float16", ">f4", ">i2"], ["h5ad", "zarr"])])
@pytest.mark.parametrize("lazily", [False, True])
def test_a_dense_matrix_of_types_that_sparse_matrices_do_not_take(adata, tmp_path, kind, suffix, lazily):
    path = tmp_path / f"cells.{suffix}"
    getattr(placed(adata, adata.X.toarray().astype(kind), "X"), f"write_{suffix}")(path)
    found = open_file(path, lazily=lazily)
    assert_same(stats(found), stats(adata))
    native = by_rows(found.X).dtype.newbyteorder("=")  # in zarr v3 the order of bytes is no part of a type
    assert native == np.dtype(kind).newbyteorder("=")
    assert_same(stats(found.to_memory()), stats(adata))
    part = found[5:20]
    np.testing.assert_array_equal(sparse.csr_matrix(part.X.astype(np.float32)).toarray(), adata.X[5:20].toarray())


@pytest.mark.parametrize("kind", ["float16", ">f4", ">f8", ">i2"])
@pytest.mark.parametrize("form", FORMS)
def test_a_matrix_in_memory_of_types_that_sparse_matrices_do_not_take(adata, kind, form):
    X = FORMS[form](adata.X)
    X = X.astype(kind) if form == "dense" else type(X)((X.data.astype(kind), X.indices, X.indptr), shape=X.shape)
    assert_same(stats(ad.AnnData(X, obs=adata.obs, var=adata.var)), stats(adata))
    assert X.dtype == kind


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
    "v3": (3, {}),  # anndata 0.13 adds shards
    "v3, not sharded": (3, {"chunks": (500,), "shards": None}),
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
    if "shards" in options:
        assert found.X.group["data"].shards == options["shards"]
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
