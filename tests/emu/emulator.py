"""Builds a kernel with g++ against the shim and launches it on NumPy arrays instead of a device."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
SHIM = Path(__file__).with_name("shim.hpp")
INSTANCES = list(product(("float", "double"), ("int", "long long")))
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-fno-extern-tls-init", "-w")
SANITIZE = "SMASH_EMULATE_WITH_ASAN"
ONE_AT_A_TIME = threading.Lock()


def compiler() -> str:
    """The path of g++. Elsewhere than on Linux the test that asks is skipped: the shim rests on glibc's contexts."""
    if sys.platform != "linux":
        pytest.skip("the shim that runs kernels on the CPU needs Linux")
    found = shutil.which("g++")
    if found is None:
        raise RuntimeError("g++ is needed to run the kernels on the CPU: apt-get install g++")
    return found


def build(source: Path, folder: Path, instances: list = INSTANCES) -> ctypes.CDLL:
    """Instances of the kernel in <kernel>.cu as a shared library, under the names ``<kernel>_<number>``."""
    kernel = source.stem
    lines = [f'#include "{SHIM}"', f'#include "{source}"']
    for number, types in enumerate(instances):
        lines.append(
            f'extern "C" void {kernel}_{number}(unsigned grid, unsigned block, int bytes, unsigned seed, void** a) '
            f"{{ emu::launch({kernel}<{', '.join(types)}>, grid, block, bytes, seed, a); }}"
        )
    text, library = folder / f"{kernel}.cpp", folder / f"{kernel}.so"
    text.write_text("\n".join(lines))
    sanitize = ["-fsanitize=address", "-g"] if os.environ.get(SANITIZE) else []
    command = [compiler(), *FLAGS, *sanitize, str(text), "-o", str(library)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


@cache
def built(kernel: str) -> ctypes.CDLL:
    """The library of one of the project's kernels."""
    with tempfile.TemporaryDirectory() as folder:
        return build(KERNELS / f"{kernel}.cu", Path(folder))


def launch(library, name, shape, arguments, *, seed=0) -> None:
    """Run the function ``name`` of a library; arrays are passed as pointers, NumPy scalars by value.

    ``shape`` is thread blocks, threads and bytes of dynamic shared memory.
    """
    assert all(isinstance(a, np.ndarray | np.generic) for a in arguments), "a Python number has no size in C"
    assert all(a.flags.c_contiguous for a in arguments if isinstance(a, np.ndarray))
    values = [np.uint64(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in arguments]
    buffers = [np.array([v]) for v in values]
    pointers = (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers))
    blocks, threads, shared_bytes = shape
    sizes = ctypes.c_uint(blocks), ctypes.c_uint(threads), ctypes.c_int(shared_bytes), ctypes.c_uint(seed)
    with ONE_AT_A_TIME:  # Dask launches from several threads; the shim has one set of fibers
        getattr(library, name)(*sizes, pointers)


class Emulator:
    """A device made of the shim. Threads and blocks run in an order drawn from ``seed``."""

    def __init__(self, **libraries: ctypes.CDLL):
        self.seed = 0
        self.libraries = libraries

    def launch(self, kernel, types, shape, arguments) -> None:
        """In place of `smash_gpu.compute.cuda.launch`."""
        library = self.libraries.get(kernel) or built(kernel)
        shape = (shape.blocks, shape.threads, shape.shared_bytes)
        launch(library, f"{kernel}_{INSTANCES.index(types)}", shape, arguments, seed=self.seed)
