"""Machines that run kernels: the shim on the CPU, or a device."""

from __future__ import annotations

import pytest
from cases.kernels import Machine, shim

from smash_gpu.compute.xp import cupy


@pytest.fixture(params=["shim", pytest.param("device", marks=pytest.mark.gpu)])
def machine(request, monkeypatch):
    """The shim with an H100's shared memory, or the device with its own.

    On the device without a pool: compute-sanitizer sees only the borders of what the driver gave.
    """
    if request.param == "shim":
        yield shim(monkeypatch)
        return
    before = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(None)
    yield Machine(cupy)
    cupy.cuda.set_allocator(before)
