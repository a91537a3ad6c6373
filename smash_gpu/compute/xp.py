"""NumPy or CuPy? The array library of a value, moving values between host and device."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

try:
    import cupy
    from cupyx.scipy import sparse as device_sparse
except ImportError as error:
    cupy = device_sparse = None
    why_no_cupy = str(error)
CELLS_PER_PRODUCT = 1024  # as many are dense float64 at a time
FLOATS = (np.float32, np.float64)


def on_gpu(x: Any) -> bool:
    """Whether ``x`` is a CuPy array, or a CuPy sparse matrix or array."""
    return cupy is not None and (isinstance(x, cupy.ndarray) or device_sparse.issparse(x))


def namespace(x: Any) -> ModuleType:
    """The array library of ``x``: cupy or numpy."""
    return cupy if on_gpu(x) else np


def to_host(x: Any) -> Any:
    """``x`` in host memory; host values pass unchanged."""
    return x.get() if on_gpu(x) else x  # synchronises


def to_device(x: Any) -> Any:
    """``x`` in device memory, as a CuPy array or CSR matrix of floats; device values pass unchanged."""
    from scipy import sparse

    if on_gpu(x):
        return x
    if not sparse.issparse(x):
        return cupy.asarray(x)
    return device_sparse.csr_matrix(as_float(x))


def as_float(x: Any) -> Any:
    """``x`` if it holds float32 or float64, else its values as float32: the kernels take no others."""
    return x if x.dtype in FLOATS else x.astype(np.float32)


def place(x: Any, device: str) -> Any:
    """``x`` in the memory of ``device`` ("cpu" or "cuda")."""
    return to_device(x) if device == "cuda" else to_host(x)


def take_columns(x: Any, columns: np.ndarray) -> Any:
    """The numbered columns, in ascending order, of a matrix on the device; of a sparse one as CSR."""
    chosen = cupy.asarray(columns)
    if not device_sparse.issparse(x):
        return x[:, chosen]
    x = x.tocsr()
    place = cupy.full(x.shape[1], -1, dtype=x.indices.dtype)
    place[chosen] = cupy.arange(len(columns), dtype=x.indices.dtype)
    to = place[x.indices]
    ends = cupy.concatenate([cupy.zeros(1, dtype=np.int64), cupy.cumsum(to >= 0)])[x.indptr]
    parts = x.data[to >= 0], to[to >= 0], ends.astype(x.indptr.dtype)
    return device_sparse.csr_matrix(parts, (x.shape[0], len(columns)))


def take(x: Any, rows: np.ndarray) -> Any:
    """The numbered rows of an array on host or device."""
    return x[namespace(x).asarray(rows)]
