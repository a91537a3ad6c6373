"""What a matrix on disk is made of: its arrays, its places, how much it stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from smash_gpu.io import hdf5


def arrays(X: Any) -> dict[str, Any]:
    """The HDF5 or zarr arrays that hold the matrix, by name; empty if it does not lie in local files of its own.

    HDF5's virtual and external data sets and stores elsewhere than in a folder count as not of its own.
    """
    if isinstance(X, CSRDataset | CSCDataset):
        found = {f"{X.format} {name}": X.group[name] for name in ("data", "indices", "indptr")}
    else:
        found = {"dense": X} if isinstance(X, h5py.Dataset | zarr.Array) else {}
    return found if all(is_local(array) for array in found.values()) else {}


def parts(X: Any) -> tuple:
    """The matrices of a stack; the matrix itself if it is none."""
    return tuple(getattr(X, "matrices", (X,)))


def places(X: Any) -> tuple[Path, ...]:
    """The HDF5 files, and the folders of zarr arrays, that hold parts of the matrix."""
    found = (array for part in parts(X) for array in arrays(part).values())
    return tuple(
        sorted({Path(a.file.filename).absolute() if isinstance(a, h5py.Dataset) else folder_of(a) for a in found})
    )


def is_local(array: Any) -> bool:
    """Whether an HDF5 or zarr array lies in a local file or folder of its own."""
    if isinstance(array, h5py.Dataset):
        return not array.is_virtual and not array.external and Path(array.file.filename).is_file()
    return isinstance(array.store_path.store, zarr.storage.LocalStore)


def folder_of(array: zarr.Array) -> Path:
    """The folder that holds the chunks of a zarr array."""
    return Path(array.store_path.store.root).absolute() / array.store_path.path


def values_per_cell(X: Any) -> float:
    """How many values are stored for a cell of ``X``: on average, of several files in the one that has the most."""
    if isinstance(X, CSRDataset | CSCDataset):
        return X.group["indices"].shape[0] / max(X.shape[0], 1)
    if hasattr(X, "matrices"):
        return max(map(values_per_cell, X.matrices))
    return X.nnz / max(X.shape[0], 1) if sparse.issparse(X) else X.shape[1]


def row_offsets(X: Any) -> np.ndarray | None:
    """Where the values of each cell begin, if that is known."""
    if isinstance(X, CSRDataset):
        return hdf5.reader(X.group["indptr"])(0, X.shape[0] + 1)
    return X.indptr if sparse.issparse(X) and X.format == "csr" else None


def stored_bytes(matrix: Any) -> int | None:
    """Bytes that one pass over ``matrix`` reads from disk; None if all of it is in memory."""
    sizes = [size for size in map(stored_bytes, value_arrays(matrix)) if size is not None]
    if sizes:
        return sum(sizes)
    if isinstance(matrix, h5py.Dataset):
        return matrix.id.get_storage_size()
    return matrix.nbytes_stored() if isinstance(matrix, zarr.Array) else None


def unpacked_bytes(matrix: Any) -> int:
    """Bytes of the stored values and, of a sparse matrix, of their columns."""
    return sum(map(unpacked_bytes, value_arrays(matrix))) or int(getattr(matrix, "nbytes", 0))


def value_arrays(matrix: Any) -> list[Any]:
    """The matrices of a stack, or the values and columns of a sparse matrix; empty for a dense one."""
    if hasattr(matrix, "matrices"):
        return list(matrix.matrices)
    if isinstance(matrix, CSRDataset | CSCDataset):
        return [matrix.group[name] for name in ("data", "indices")]
    return [matrix.data, matrix.indices] if sparse.issparse(matrix) else []
