"""What ``smash-gpu check`` says: what is installed, and whether the device computes what the CPU computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from smash_gpu.compute import cuda, ops
from smash_gpu.compute import xp as libraries
from smash_gpu.compute.device import device_in_words, device_memory, device_problem, device_room, same_allocator
from smash_gpu.compute.xp import to_host
from smash_gpu.runtime import versions

CELLS, GENES, GROUPS, TARGET, LARGE = 300, 70, 4, 1e4, 20.0
TYPES = tuple(product((np.float32, np.float64), (np.int32, np.int64)))
ROUNDING = 1e-6  # of a float32; the sums of float64 are closer
COPY_BYTES, COPIES = 2**30, 5
SHARE_FOR_COPY = 0.25  # of the free memory
LIBRARIES = {  # what needs it on a device
    "xgboost": "model 'xgboost'",
    "torch": "model 'dnn'",
    "cuml": "models 'rf' and 'brf', and the classifiers of tl.evaluate",
    "rapids_singlecell": "batch_key",
}
ON_CPU = {  # module: what needs it, and the extra that brings it
    "xgboost": ("model 'xgboost'", "cpu"),
    "imblearn": ("model 'brf'", "cpu"),
    "torch": ("model 'dnn'", "dnn"),
    "harmonypy": ("batch_key", "cpu"),
    "matplotlib": ("figures", "cpu"),
    "dask": ("Dask arrays", "dask"),
}
INSTALL = "pip install 'smash-gpu[cuda13]' in a new environment"


class Status(IntEnum):
    """How a finding is meant. The largest is the exit code of ``smash-gpu check``."""

    GOOD = 0
    NO_DEVICE = 1
    WRONG = 2


@dataclass(frozen=True)
class Finding:
    """One line of the check; ``way_out`` says what to do unless all is well."""

    what: str
    said: str
    status: Status = Status.GOOD
    way_out: str = ""


@dataclass(frozen=True)
class _Block:
    """The parts of a CSR matrix, with the types that a kernel is to be compiled for."""

    shape: tuple[int, int]
    data: Any
    indices: Any
    indptr: Any


def findings() -> Iterator[Finding]:
    """One after the other; without a device only what is installed, and what is missing for one."""
    yield Finding("installed", ", ".join(f"{name} {version}" for name, version in versions.installed().items()))
    problem = device_problem()
    if problem is not None:
        yield from _missing()
        yield Finding("device", "none can be used; everything is computed on the CPU", Status.NO_DEVICE, problem)
        return
    yield _tried("device", device_in_words, "check `nvidia-smi`")
    yield _tried("memory", device_memory, "check `nvidia-smi` for other programs on the device")
    yield _tried("allocator", _allocator, "import cuML and rapids-singlecell after smash_gpu")
    for kernel in PROBES:
        yield _tried(f"kernel {kernel}", partial(_agrees, kernel), "use device='cpu', and report this")
    yield _tried("copy", _copy_speed, "check `nvidia-smi` for other programs on the device")
    for library, used_by in LIBRARIES.items():
        yield _library(library, used_by)


def _missing() -> Iterator[Finding]:
    """What is not installed for work on the CPU; only some use it, so nothing is wrong."""
    for module, (used_by, extra) in ON_CPU.items():
        if find_spec(module) is None:
            yield Finding(module, f"not installed; needed for {used_by}", way_out=f"pip install 'smash-gpu[{extra}]'")


def _tried(what: str, said: Callable[[], str], way_out: str) -> Finding:
    try:
        return Finding(what, said())
    except Exception as error:  # noqa: BLE001 - the other findings still count
        first = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return Finding(what, first, Status.WRONG, way_out)


def _library(name: str, used_by: str) -> Finding:
    if find_spec(name) is None:
        return Finding(name, f"not installed; needed for {used_by}", Status.WRONG, INSTALL)
    return _tried(name, partial(_imported, name), f"needed for {used_by}: {INSTALL}, or use device='cpu'")


def _imported(name: str) -> str:
    """The version of a library that can use the device."""
    with same_allocator():
        library = __import__(name)
    if name == "torch" and not library.cuda.is_available():
        raise RuntimeError(f"torch {library.__version__} cannot use the device (is it a build for the CPU?)")
    if name == "xgboost" and not library.build_info()["USE_CUDA"]:
        raise RuntimeError(f"xgboost {library.__version__} was built for the CPU only (is it xgboost-cpu?)")
    return f"{library.__version__}, can use the device"


def _allocator() -> str:
    """Whose memory CuPy's arrays are in."""
    allocator = libraries.cupy.cuda.get_allocator()
    own = allocator == libraries.cupy.get_default_memory_pool().malloc
    if not own and getattr(allocator, "__module__", "").startswith("rmm"):
        return "RMM (some import put it in the place of CuPy's pool)"
    return "CuPy's pool" if own else str(allocator)


def _counts() -> tuple[sparse.csr_matrix, np.ndarray]:
    """Counts with an empty cell and numbers above 32, and the group of each cell, with some left out."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.6, (CELLS, GENES)) * rng.choice([1, 1, 1, 50], (CELLS, GENES))
    counts[7] = 0
    return sparse.csr_matrix(counts), rng.integers(-1, GROUPS, CELLS)


def _group_stats(compute: Any, block: Any, group: np.ndarray) -> tuple[Any, ...]:
    return compute.group_stats(block, group, GROUPS, TARGET)


def _gather_dense(compute: Any, block: Any, _: np.ndarray) -> tuple[Any, ...]:
    return (compute.gather_dense(block, np.arange(0, GENES, 3), TARGET),)


def _value_checks(compute: Any, block: Any, _: np.ndarray) -> tuple[Any, ...]:
    return (compute.value_checks(block, LARGE)[0], compute.library_sizes(block))


def _cells_by_group(compute: Any, block: Any, group: np.ndarray) -> tuple[Any, ...]:
    order, start = map(to_host, compute.cells_by_group(block, group, GROUPS))
    return start, group[order[: start[-1]]]


PROBES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "value_checks": _value_checks,
    "cells_by_group": _cells_by_group,
    "group_stats": _group_stats,
    "gather_dense": _gather_dense,
}


def _agrees(kernel: str) -> str:
    """Compile and run a kernel for all types, and compare it with its twin.

    Raises
    ------
    ArithmeticError
        If the two differ.
    """
    (counts, group), start = _counts(), time.perf_counter()
    for value, index in TYPES:
        host = counts.astype(value)
        parts = (host.data, host.indices.astype(index), host.indptr.astype(index))
        block = _Block(host.shape, *map(libraries.cupy.asarray, parts))
        found = PROBES[kernel](cuda, block, group)
        expected = PROBES[kernel](ops, host, group)
        for there, here in zip(map(to_host, found), expected, strict=True):
            if not np.allclose(there, here, rtol=ROUNDING, atol=ROUNDING):
                names = f"{np.dtype(value).name}, {np.dtype(index).name}"
                raise ArithmeticError(f"differs from the CPU for {names} by up to {np.abs(there - here).max():.3g}")
    return f"{len(TYPES)} instances agree with the CPU ({time.perf_counter() - start:.1f} s with compilation)"


def _copy_speed() -> str:
    """GB/s of copies on the device (read and written), and from the host to it."""
    cupy = libraries.cupy
    n = max(1, int(min(COPY_BYTES, SHARE_FOR_COPY * device_room())) // 8)
    host, source, target = np.zeros(n, np.float32), cupy.zeros(n, np.float32), cupy.zeros(n, np.float32)
    within = _seconds(lambda: cupy.copyto(target, source))
    return (
        f"{2 * host.nbytes / within / 1e9:,.0f} GB/s within the device (read and written), "
        f"{host.nbytes / _seconds(lambda: cupy.asarray(host)) / 1e9:,.1f} GB/s from the host"
    )


def _seconds(run: Callable[[], Any]) -> float:
    """The shortest time of a few runs, each to its end on the device."""
    found = []
    for _ in range(COPIES + 1):
        libraries.cupy.cuda.runtime.deviceSynchronize()
        start = time.perf_counter()
        run()
        libraries.cupy.cuda.runtime.deviceSynchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])
