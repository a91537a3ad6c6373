"""``smash-gpu check`` where no GPU can be used; on a device see `device_path/test_device_check`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from smash_gpu.compute import xp
from smash_gpu.runtime import device_check


@pytest.fixture
def without_cupy(monkeypatch):
    monkeypatch.setattr(xp, "cupy", None)
    monkeypatch.setattr(xp, "why_no_cupy", "No module named 'cupy'", raising=False)


def test_without_a_gpu_it_says_what_is_missing_and_ends_with_one(run, without_cupy):
    code, out, _ = run("check")
    assert code == 1
    assert "ok installed: smash-gpu " in out and "numpy " in out
    assert "-- device: none can be used; everything is computed on the CPU" in out
    assert "what to do: cannot import CuPy (No module named 'cupy')" in out
    assert "smash-gpu[cuda13]" in out


def test_it_says_which_extra_brings_what_is_not_installed(run, without_cupy, monkeypatch):
    monkeypatch.setattr(device_check, "ON_CPU", {"no_such_module": ("model 'x'", "some")})
    code, out, _ = run("check")
    assert code == 1
    assert "no_such_module: not installed; needed for model 'x'" in out
    assert "pip install 'smash-gpu[some]'" in out


def test_the_exit_codes_are_documented(run):
    code, out, _ = run("check", "--help")
    assert code == 0
    code, out, _ = run("--help")
    said = " ".join(out.split())
    for status, words in {0: "it does", 1: "no GPU can be used", 2: "something is wrong"}.items():
        assert f"{status}: {words}" in said


@pytest.mark.gpu
def test_all_is_well_on_a_device(run):
    """The container's libraries are all there; where some are not, their lines say so, and nothing else is wrong."""
    code, out, _ = run("check")
    wrong = {line[3:].partition(":")[0] for line in out.splitlines() if line.startswith("!! ")}
    absent = {name for name in device_check.LIBRARIES if f"{name}: not installed" in out}
    assert wrong == absent, out
    assert code == (2 if absent else 0)
    assert all(f"kernel {kernel}: 4 instances agree" in out for kernel in device_check.PROBES)


@pytest.mark.gpu
def test_what_was_compiled_once_is_not_compiled_again(tmp_path):
    """CuPy keeps compiled kernels in a folder for the next process."""
    where, kept = os.environ | {"CUPY_CACHE_DIR": str(tmp_path)}, []
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "smash_gpu.cli", "check"], env=where, capture_output=True, check=False)
        kept.append(sorted(path.name for path in tmp_path.iterdir()))
    assert kept[0] == kept[1]
    assert len(kept[0]) >= 4 * len(device_check.PROBES)
