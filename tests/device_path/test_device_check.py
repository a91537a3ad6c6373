"""``smash-gpu check`` on a device that is not there: what it says, and what it finds."""

from __future__ import annotations

import sys

import pytest
from cases.device import libraries_of_a_device, library

from smash_gpu import cli
from smash_gpu.compute import cuda, device
from smash_gpu.runtime import device_check


@pytest.fixture
def checked(device, monkeypatch, capsys):
    """Runs the command with the libraries of a device: exit code, and the lines by what they are about."""
    monkeypatch.setattr(device_check, "COPY_BYTES", 2**16)

    def run(**libraries):
        for name, module in (libraries_of_a_device() | libraries).items():
            monkeypatch.setitem(sys.modules, name, module)
        code = cli.main(["check"])
        lines = capsys.readouterr().out.splitlines()
        return code, {line[3:].partition(":")[0]: line for line in lines if line[:2].strip()}, lines

    return run


def test_every_kernel_has_a_probe():
    assert set(device_check.PROBES) == {path.stem for path in cuda.SOURCES.glob("*.cu")}


@pytest.mark.slow
def test_all_is_well(checked, monkeypatch, tmp_path):
    monkeypatch.setattr(device, "DRIVER", tmp_path / "version")
    device.DRIVER.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Tue\nGCC version: 13.3.0")
    code, found, _ = checked()
    assert code == 0
    assert all(line.startswith("ok ") for line in found.values())
    for word in ("Stand-in", "sm_90", "132", "2.0 GiB", "driver 580.159.04", "CUDA 13.1", "CUDA 13.0", "NVRTC 13.0"):
        assert word in found["device"]
    for kernel in device_check.PROBES:
        assert "4 instances agree" in found[f"kernel {kernel}"]
    assert "GB/s within the device" in found["copy"] and "from the host" in found["copy"]
    assert "CuPy" in found["memory"]
    assert set(device_check.LIBRARIES) <= set(found)


@pytest.mark.slow
def test_a_kernel_that_differs_from_its_twin_is_wrong_and_the_others_are_still_tried(checked, monkeypatch):
    right = cuda.gather_dense
    monkeypatch.setattr(cuda, "gather_dense", lambda *a, **o: right(*a, **o) * 1.001)
    code, found, lines = checked()
    assert code == 2
    assert found["kernel gather_dense"].startswith("!! ")
    assert "differs from the CPU for float32, int32" in found["kernel gather_dense"]
    assert "what to do: use device='cpu'" in lines[lines.index(found["kernel gather_dense"]) + 1]
    assert found["kernel group_stats"].startswith("ok ")


def test_a_kernel_that_does_not_compile_is_wrong(checked, monkeypatch):
    def launch(*_):
        raise RuntimeError("error: expected a ';'\n 1 error detected")

    monkeypatch.setattr(cuda, "launch", launch)
    code, found, _ = checked()
    assert code == 2
    assert "RuntimeError: error: expected a ';'" in found["kernel group_stats"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "said"),
    [
        ("cuml", None, "not installed"),
        ("torch", library(cuda=library(is_available=lambda: False)), "a build for the CPU?"),
        ("xgboost", library(build_info=lambda: {"USE_CUDA": False}), "for the CPU only"),
    ],
)
def test_a_library_that_cannot_use_the_device_is_wrong_and_the_extra_is_named(checked, name, module, said):
    code, found, lines = checked(**{name: module})
    assert code == 2
    assert found[name].startswith("!! ") and said in found[name]
    assert "smash-gpu[cuda13]" in lines[lines.index(found[name]) + 1]


@pytest.mark.slow
def test_memory_of_rmm_is_named(checked, device, monkeypatch):
    def allocate(size):
        return size

    allocate.__module__ = "rmm.allocators.cupy"
    monkeypatch.setattr(device.cuda, "get_allocator", lambda: allocate)
    assert "RMM" in checked()[1]["allocator"]
