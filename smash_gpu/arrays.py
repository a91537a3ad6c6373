"""NumPy or CuPy? The array library of a value, and moving values between host and device."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

try:
    import cupy
    from cupyx.scipy import sparse as device_sparse
except ImportError:
    cupy = device_sparse = None

DEVICES = ("auto", "cpu", "cuda")


def on_gpu(x: Any) -> bool:
    """Whether ``x`` is a CuPy array or a CuPy sparse matrix."""
    return cupy is not None and isinstance(x, cupy.ndarray | device_sparse.spmatrix)


def namespace(x: Any) -> ModuleType:
    """The array library of ``x``: cupy or numpy."""
    return cupy if on_gpu(x) else np


def to_host(x: Any) -> Any:
    """``x`` in host memory; host values pass unchanged."""
    return x.get() if on_gpu(x) else x  # synchronises


def to_device(x: Any) -> Any:
    """``x`` in device memory, as a CuPy array or CSR matrix of floats; device values pass unchanged."""
    if on_gpu(x):
        return x
    if not sparse.issparse(x):
        return cupy.asarray(x)
    return device_sparse.csr_matrix(x if x.dtype.kind == "f" else x.astype(np.float32))


def place(x: Any, device: str) -> Any:
    """``x`` in the memory of ``device`` ("cpu" or "cuda")."""
    return to_device(x) if device == "cuda" else to_host(x)


def resolve_device(device: str) -> str:
    """Turn "auto", "cpu" or "cuda" into "cpu" or "cuda".

    Raises
    ------
    ValueError
        For any other word.
    RuntimeError
        If "cuda" is asked for and CuPy or a working device is missing.
    """
    if device not in DEVICES:
        raise ValueError(f"device={device!r} is not one of {', '.join(DEVICES)}.")
    available = cupy is not None and cupy.is_available()
    if device == "cuda" and not available:
        missing = "CuPy is not installed" if cupy is None else "CuPy finds no usable CUDA device"
        raise RuntimeError(
            f"device='cuda' was asked for, but {missing}. Install an extra with CUDA "
            "(pip install 'smash-gpu[cuda13]'), check `nvidia-smi`, or use device='cpu'."
        )
    return "cuda" if available and device != "cpu" else "cpu"
