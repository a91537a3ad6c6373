"""The CUDA device: whether there is one, its memory, and how a lack of memory is recognised."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from smash_gpu.compute import xp as libraries
from smash_gpu.errors import warn

DEVICES = ("auto", "cpu", "cuda")
GIB = 2**30
DRIVER = Path("/proc/driver/nvidia/version")
OUT_OF_MEMORY = ("out of memory", "out_of_memory", "bad_alloc", "outofmemory")


def resolve_device(device: str) -> str:
    """Turn "auto", "cpu" or "cuda" into "cpu" or "cuda".

    Raises
    ------
    ValueError
        For any other value.
    RuntimeError
        For "cuda" if CuPy, a driver that is new enough, or a device is missing.
    """
    if device not in DEVICES:
        raise ValueError(f"device={device!r} is not one of {', '.join(DEVICES)}.")
    if device == "cpu":
        return "cpu"
    problem = device_problem()
    if problem is None:
        return "cuda"
    if device == "cuda":
        raise RuntimeError(f"cannot use device='cuda': {problem}; or use device='cpu'.")
    if libraries.cupy is not None and libraries.cupy.cuda.runtime.driverGetVersion():
        warn(f"computing on the CPU: {problem}.")
    return "cpu"


def device_problem() -> str | None:
    """Why a CUDA device cannot be used, and what to do; None if it can be used."""
    if libraries.cupy is None:
        return (
            f"cannot import CuPy ({libraries.why_no_cupy}): install an extra with CUDA, pip install 'smash-gpu[cuda13]'"
        )
    runtime = libraries.cupy.cuda.runtime
    try:
        if runtime.getDeviceCount():
            return None
    except runtime.CUDARuntimeError as error:
        needed, present = runtime.runtimeGetVersion(), runtime.driverGetVersion()
        if 0 < present < needed and "InsufficientDriver" in str(error):
            return (
                f"the NVIDIA driver supports CUDA {_release(present)} and CuPy was built for {_release(needed)}: "
                "update the driver, or install the extra for CUDA 12 (smash-gpu[cuda12])"
            )
        if not present:
            return "there is no NVIDIA driver: check `nvidia-smi`"
    return "no CUDA device is visible: check `nvidia-smi` and CUDA_VISIBLE_DEVICES"


def driver_release() -> str:
    """The release of the NVIDIA driver; "of unknown release" where Linux does not say."""
    with suppress(OSError, IndexError):
        return re.findall(r"[0-9]+[.][0-9.]+", DRIVER.read_text())[0]
    return "of unknown release"


def device_in_words() -> str:
    """The current device, its driver, and the versions of CUDA of the driver, of CuPy and of the compiler."""
    cuda = libraries.cupy.cuda
    found = cuda.runtime.getDeviceProperties(cuda.runtime.getDevice())
    name = found["name"].decode()
    versions = [f"driver {driver_release()}, CUDA {_release(cuda.runtime.driverGetVersion())}"]
    versions += [f"CuPy for CUDA {_release(cuda.runtime.runtimeGetVersion())}"]
    versions += ["NVRTC " + ".".join(map(str, cuda.nvrtc.getVersion()))]
    size = f"{found['multiProcessorCount']} multiprocessors, {found['totalGlobalMem'] / GIB:,.1f} GiB"
    return f"{name} (sm_{found['major']}{found['minor']}, {size}), {', '.join(versions)}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error, or one that caused it, is a lack of memory in NumPy, CuPy, RMM, cuML, torch or XGBoost.

    CuPy reports a lack of memory during the indexing of a sparse matrix as ``IndexError: invalid index``.
    """
    words = f"{type(error).__name__} {error}".lower()
    if isinstance(error, MemoryError) or any(word in words for word in OUT_OF_MEMORY):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and is_out_of_memory(before)


@contextmanager
def enough_memory(purpose: str, way_out: str, n_bytes: int = 0) -> Iterator[None]:
    """Turn any library's lack of memory into a ``MemoryError`` that says for what, how much, and what to do."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        numbers = ", ".join(filter(None, [f"needs {n_bytes / GIB:,.2f} GiB" * bool(n_bytes), device_memory()]))
        raise MemoryError(f"not enough memory for {purpose}{f' ({numbers})' * bool(numbers)}. {way_out}") from error


def device_room() -> int:
    """Bytes that are free on the device, or unused in CuPy's pool."""
    pool = libraries.cupy.get_default_memory_pool()
    return libraries.cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes()


def device_memory() -> str:
    """What is free on the device and what CuPy's pool holds, for messages; empty without a device."""
    if device_problem() is not None:
        return ""
    free, total = libraries.cupy.cuda.runtime.memGetInfo()
    pool = libraries.cupy.get_default_memory_pool().total_bytes()
    return f"{free / GIB:,.1f} of {total / GIB:,.1f} GiB free on the device, {pool / GIB:,.1f} GiB held by CuPy"


@contextmanager
def same_allocator() -> Iterator[None]:
    """Restore CuPy's allocator afterwards.

    The first import of cuDF, cuML or rapids-singlecell makes RMM the allocator. RMM has no pool unless it is given one:
    every array then costs a ``cudaMalloc`` and a ``cudaFree``, which waits for the device.
    """
    if libraries.cupy is None:
        yield
        return
    before = libraries.cupy.cuda.get_allocator()
    try:
        yield
    finally:
        libraries.cupy.cuda.set_allocator(before)


def release_memory() -> None:
    """Free what the pools of CuPy and torch hold but do not use, so that other libraries can use it."""
    if device_problem() is None:  # without a driver the pool itself cannot be asked
        libraries.cupy.get_default_memory_pool().free_all_blocks()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _release(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
