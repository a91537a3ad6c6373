"""Devices that are absent or too old, and errors that mean too little memory."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from smash_gpu.compute import xp
from smash_gpu.compute.device import enough_memory, resolve_device


class CudaError(RuntimeError):
    pass


def cupy_with(monkeypatch, *, driver, needs=13020, devices=0, error=None):
    """A stand-in for CuPy on a machine with this driver."""

    def count():
        if error is not None:
            raise CudaError(error)
        return devices

    runtime = SimpleNamespace(
        CUDARuntimeError=CudaError,
        getDeviceCount=count,
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: needs,
    )
    monkeypatch.setattr(xp, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))


TOO_OLD = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
MACHINES = {
    "no driver": ({"driver": 0, "error": TOO_OLD}, "no NVIDIA driver"),
    "old driver": ({"driver": 12040, "error": TOO_OLD}, "supports CUDA 12.4 and CuPy was built for 13.2"),
    "hidden device": ({"driver": 13020, "error": "cudaErrorNoDevice: no CUDA-capable device"}, "CUDA_VISIBLE_DEVICES"),
    "no device": ({"driver": 13020}, "no CUDA device is visible"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_device_that_is_asked_for_and_absent_is_an_error_with_the_way_out(monkeypatch, machine):
    described, message = MACHINES[machine]
    cupy_with(monkeypatch, **described)
    with pytest.raises(RuntimeError, match=re.escape(message)) as raised:
        resolve_device("cuda")
    assert "device='cpu'" in str(raised.value)


@pytest.mark.parametrize("machine", ["old driver", "hidden device"])
def test_auto_says_why_a_machine_with_a_driver_computes_on_the_cpu(monkeypatch, machine):
    cupy_with(monkeypatch, **MACHINES[machine][0])
    with pytest.warns(UserWarning, match="computing on the CPU"):
        assert resolve_device("auto") == "cpu"


def test_auto_is_silent_without_a_driver_and_cpu_asks_nothing(monkeypatch, recwarn):
    cupy_with(monkeypatch, **MACHINES["no driver"][0])
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    assert not recwarn.list


def test_a_working_device_is_taken(monkeypatch):
    cupy_with(monkeypatch, driver=13020, devices=1)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"


def test_without_cupy_the_message_says_what_the_import_said(monkeypatch):
    monkeypatch.setattr(xp, "cupy", None)
    monkeypatch.setattr(xp, "why_no_cupy", "libcuda.so.1 is missing", raising=False)
    with pytest.raises(RuntimeError, match=r"libcuda\.so\.1 is missing.*smash-gpu\[cuda13\]"):
        resolve_device("cuda")


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc: out_of_memory: RMM failure"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        ValueError("[10:00:00] Memory allocation error: cudaErrorMemoryAllocation: out of memory"),
    ],
)
def test_every_library_s_word_for_out_of_memory_is_understood(error):
    message = r"not enough memory for the forest \(needs 2\.00 GiB.*\)\. Narrow"
    memory = enough_memory("the forest", "Narrow the candidates.", 2 * 2**30)
    with pytest.raises(MemoryError, match=message) as raised, memory:
        raise error
    assert raised.value.__cause__ is error


def test_other_errors_pass_unchanged():
    with pytest.raises(KeyError, match="gene"), enough_memory("the forest", "Narrow."):
        raise KeyError("gene")
