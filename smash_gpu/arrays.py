"""NumPy or CuPy? The array library of a value, moving values between host and device, and what a device lacks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

try:
    import cupy
    from cupyx.scipy import sparse as device_sparse
except ImportError as error:
    cupy = device_sparse = None
    why_no_cupy = str(error)

DEVICES = ("auto", "cpu", "cuda")
FLOATS = (np.float32, np.float64)
GIB = 2**30
OUT_OF_MEMORY = ("out of memory", "out_of_memory", "bad_alloc", "outofmemory")


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


def take(x: Any, rows: np.ndarray) -> Any:
    """The numbered rows of an array on host or device."""
    return x[namespace(x).asarray(rows)]


def resolve_device(device: str) -> str:
    """Turn "auto", "cpu" or "cuda" into "cpu" or "cuda".

    Raises
    ------
    ValueError
        For any other word.
    RuntimeError
        If "cuda" is asked for and CuPy, a driver that is new enough, or a device is missing.
    """
    if device not in DEVICES:
        raise ValueError(f"device={device!r} is not one of {', '.join(DEVICES)}.")
    if device == "cpu":
        return "cpu"
    problem = device_problem()
    if problem is None:
        return "cuda"
    if device == "cuda":
        raise RuntimeError(f"device='cuda' was asked for, but {problem}; or use device='cpu'.")
    if cupy is not None and cupy.cuda.runtime.driverGetVersion():
        warnings.warn(f"computing on the CPU: {problem}.", stacklevel=2)
    return "cpu"


def device_problem() -> str | None:
    """Why nothing can be computed on a CUDA device, and the way out; None if it can."""
    if cupy is None:
        return f"CuPy cannot be imported ({why_no_cupy}): install an extra with CUDA, pip install 'smash-gpu[cuda13]'"
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount():
            return None
    except runtime.CUDARuntimeError as error:
        needed, present = runtime.runtimeGetVersion(), runtime.driverGetVersion()
        if 0 < present < needed and "InsufficientDriver" in str(error):
            return (
                f"the NVIDIA driver supports CUDA {_release(present)} and CuPy was built for {_release(needed)}: "
                "update the driver, or install the extra for its release (smash-gpu[cuda12])"
            )
        if not present:
            return "there is no NVIDIA driver: check `nvidia-smi`"
    return "no CUDA device is visible: check `nvidia-smi` and CUDA_VISIBLE_DEVICES"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether NumPy, CuPy, RMM, cuML, torch or XGBoost says that memory did not do, or said so before this error.

    CuPy turns a lack of memory while it indexes a sparse matrix into ``IndexError: invalid index``.
    """
    words = f"{type(error).__name__} {error}".lower()
    if isinstance(error, MemoryError) or any(word in words for word in OUT_OF_MEMORY):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and is_out_of_memory(before)


@contextmanager
def enough_memory(purpose: str, way_out: str, n_bytes: int = 0) -> Iterator[None]:
    """Turn a library's complaint about memory into a ``MemoryError`` that says for what, how much, and the way out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        needed = f" ({n_bytes / GIB:,.2f} GiB)" if n_bytes else ""
        raise MemoryError(f"memory does not do for {purpose}{needed}{device_memory()}. {way_out}") from error


def device_room() -> int:
    """Bytes that are free on the device, or held by CuPy's pool and used by nobody."""
    pool = cupy.get_default_memory_pool()
    return cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes()


def device_memory() -> str:
    """What is free on the device and what CuPy's pool holds, as a remark; empty without a device."""
    if device_problem() is not None:
        return ""
    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool().total_bytes()
    return f"; of {total / GIB:,.1f} GiB on the device {free / GIB:,.1f} are free and {pool / GIB:,.1f} are CuPy's"


@contextmanager
def same_allocator() -> Iterator[None]:
    """CuPy's allocator afterwards as it was before.

    The first import of cuDF, cuML or rapids-singlecell makes RMM the allocator. RMM has no pool unless it is given one:
    every array then costs a ``cudaMalloc`` and a ``cudaFree``, which waits for the device.
    """
    if cupy is None:
        yield
        return
    before = cupy.cuda.get_allocator()
    try:
        yield
    finally:
        cupy.cuda.set_allocator(before)


def release_memory() -> None:
    """Give back what the pools of CuPy and torch hold and nobody uses, so that other libraries can have it."""
    if device_problem() is None:  # without a driver the pool itself cannot be asked
        cupy.get_default_memory_pool().free_all_blocks()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _release(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
