"""Properties of a matrix of any kind, in memory or on disk: its arrays and files, number of values, bytes, rows.

Each property is one function that dispatches on the kind of matrix. A new kind calls ``register`` for each function
whose default (a dense matrix in memory) is wrong for it; see `smash_gpu.io.stack` and `smash_gpu.io.csc_to_csr`.
"""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from smash_gpu.io import hdf5

SPARSE_ON_DISK = CSRDataset | CSCDataset
ARRAY_ON_DISK = h5py.Dataset | zarr.Array
SPARSE = sparse.spmatrix | sparse.sparray


@singledispatch
def opened(element: Any) -> Any:
    """An element of a file or store as a matrix; nothing is read."""
    return element


opened.register(h5py.Group | zarr.Group, ad.io.sparse_dataset)


@singledispatch
def layout(X: Any) -> str:
    """The order of its values: "csr" by cells, "csc" by genes, or "dense"."""
    return "dense"


@layout.register(SPARSE_ON_DISK | SPARSE)
def _(X: Any) -> str:
    return X.format


@singledispatch
def parts(X: Any) -> tuple:
    """The matrices of a stack; for any other matrix only itself."""
    return (X,)


@singledispatch
def chosen(X: Any) -> tuple[np.ndarray | None, ...]:
    """The chosen genes of each part, then the chosen cells, in order; None for all."""
    return ()


@singledispatch
def value_arrays(X: Any) -> list[Any]:
    """The matrices of a stack, or the values and columns of a sparse matrix; empty for a dense one."""
    return []


@value_arrays.register(SPARSE_ON_DISK)
def _(X: Any) -> list[Any]:
    return [X.group[name] for name in ("data", "indices")]


@value_arrays.register(sparse.csr_matrix | sparse.csr_array | sparse.csc_matrix | sparse.csc_array)
def _(X: Any) -> list[Any]:
    return [X.data, X.indices]


@singledispatch
def arrays(X: Any) -> dict[str, Any]:
    """The HDF5 or zarr arrays that hold the matrix, by name; empty if one of them has no `place`."""
    return {}


@arrays.register(ARRAY_ON_DISK)
def _(X: Any) -> dict[str, Any]:
    return {"dense": X} if place(X) else {}


@arrays.register(SPARSE_ON_DISK)
def _(X: Any) -> dict[str, Any]:
    found = {f"{layout(X)} {name}": X.group[name] for name in ("data", "indices", "indptr")}
    return found if all(map(place, found.values())) else {}


@singledispatch
def place(array: Any) -> Path | None:
    """The HDF5 file or zarr folder of the array; None if it is not local or spread over several files."""
    return None


@place.register(h5py.Dataset)
def _(array: h5py.Dataset) -> Path | None:
    path = Path(array.file.filename).absolute()
    return path if path.is_file() and not array.is_virtual and not array.external else None


@place.register(zarr.Array)
def _(array: zarr.Array) -> Path | None:
    store, path = array.store_path.store, array.store_path.path
    return Path(store.root).absolute() / path if isinstance(store, zarr.storage.LocalStore) else None


def places(X: Any) -> tuple[Path, ...]:
    """The HDF5 files, and the folders of zarr arrays, that hold parts of the matrix."""
    return tuple(sorted({at for part in parts(X) for array in arrays(part).values() if (at := place(array))}))


@singledispatch
def origin(group: Any) -> tuple[str, str]:
    """The file or store of an element, and the name of the element there."""
    return str(Path(group.file.filename).absolute()), group.name


@origin.register(zarr.Group | zarr.Array)
def _(group: Any) -> tuple[str, str]:
    return str(group.store_path).removesuffix(group.path).removeprefix("file://").rstrip("/"), group.name


@singledispatch
def n_values(X: Any) -> int:
    """Number of stored values."""
    return X.shape[0] * X.shape[1]


@n_values.register(SPARSE_ON_DISK)
def _(X: Any) -> int:
    return X.group["data"].shape[0]


@n_values.register(SPARSE)
def _(X: Any) -> int:
    return X.nnz


def values_per_cell(X: Any) -> float:
    """Mean number of stored values per cell; for several files, of the file with the most."""
    return max(n_values(part) / max(part.shape[0], 1) for part in parts(X))


@singledispatch
def row_offsets(X: Any) -> np.ndarray | None:
    """Start of the values of each cell and end of the last (as ``indptr``), read from a file; None if unknown."""
    return None


@row_offsets.register(sparse.csr_matrix | sparse.csr_array)
def _(X: Any) -> np.ndarray:
    return X.indptr


@row_offsets.register(CSRDataset)
def _(X: CSRDataset) -> np.ndarray:
    return hdf5.array_reader(X.group["indptr"])(0, X.shape[0] + 1)


@singledispatch
def stored_bytes(X: Any) -> int | None:
    """Bytes that one pass over ``X`` reads from disk; None if ``X`` is in memory."""
    sizes = [size for size in map(stored_bytes, value_arrays(X)) if size is not None]
    return sum(sizes) if sizes else None


@stored_bytes.register(h5py.Dataset)
def _(X: h5py.Dataset) -> int:
    return X.id.get_storage_size()


stored_bytes.register(zarr.Array, zarr.Array.nbytes_stored)


def unpacked_bytes(X: Any) -> int:
    """Bytes of the stored values, plus column numbers for a sparse matrix."""
    return sum(map(unpacked_bytes, value_arrays(X))) or int(getattr(X, "nbytes", 0))


@singledispatch
def to_memory(X: Any) -> Any:
    """All of ``X`` in memory, in the same layout; a matrix in memory is returned unchanged."""
    return X


@to_memory.register(ARRAY_ON_DISK)
def _(X: Any) -> np.ndarray:
    return X[...]


@to_memory.register(SPARSE_ON_DISK)
def _(X: Any) -> Any:
    return X.to_memory()


@singledispatch
def rows_first(X: Any, folder: Path | None = None) -> Any:
    """``X`` in a layout that can be sliced by cells.

    Parameters
    ----------
    folder
        Where a matrix that must be converted on disk is kept for later runs; None: a temporary folder.
    """
    return X


@rows_first.register(SPARSE)
def _(X: Any, folder: Path | None = None) -> Any:
    return with_computable_values(X).tocsr()


def computable(values: Any) -> Any:
    """The values in a type that sparse matrices take: float16 as float32, another byte order as the machine's."""
    kind = values.dtype.newbyteorder("=")
    return values.astype(np.float32 if kind == np.float16 else kind, copy=False)


def with_computable_values(X: Any) -> Any:
    """A sparse matrix in memory with `computable` values, itself if it has those."""
    if not hasattr(X, "data") or computable(X.data[:0]).dtype == X.dtype:
        return X
    parts = computable(X.data), X.indices, X.indptr
    return type(X)(parts, shape=X.shape)
