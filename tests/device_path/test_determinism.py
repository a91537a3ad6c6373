"""Each step gives the same in every run, and on CPU and GPU what the table in the documentation says."""

from __future__ import annotations

import numpy as np
import pytest
import strict_cupy
from cases import determinism
from cases.determinism import EQUAL, OTHER, STEPS
from cells import REPOSITORY

from benchmarks import record

DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
NAMES = [step.name for step in STEPS]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_two_runs_are_equal_as_far_as_the_table_says(step, device):
    first, second = step.found(device), step.found(device)
    assert first and all(array.size for array in first)
    assert [array.dtype for array in first] == [array.dtype for array in second]
    agree(first, second, step.runs if device == "cuda" else EQUAL)


@pytest.mark.gpu
@pytest.mark.parametrize("step", [step for step in STEPS if step.between != OTHER], ids=lambda step: step.name)
def test_cpu_and_gpu_agree_as_far_as_the_table_says(step):
    agree(step.found("cpu"), step.found("cuda"), step.between)


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in STEPS if not step.packages], ids=lambda step: step.name)
def test_the_cpu_and_a_stand_in_for_a_device_agree_as_far_as_the_table_says(step, monkeypatch):
    expected = step.found("cpu")
    strict_cupy.install(monkeypatch)
    agree(expected, step.found("cuda"), step.between)


def agree(expected, found, difference):
    """Bit for bit, or up to a relative difference."""
    for one, other in zip(expected, found, strict=True):
        if difference == EQUAL:
            np.testing.assert_array_equal(other, one)
        else:
            np.testing.assert_allclose(other, one, rtol=difference, atol=difference * np.abs(one).max())


@pytest.mark.gpu
@pytest.mark.parametrize("size", [37, 200])
def test_blocks_of_another_size_change_sums_by_rounding_only(size, monkeypatch):
    whole = determinism.cells("cuda").stats
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", size)
    parts = determinism.cells("cuda").stats
    for name in ("cells", "detected", "counts"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose(parts.square, whole.square, rtol=1e-9, atol=1e-9)


def test_the_page_holds_the_table():
    page = REPOSITORY / "docs" / "concepts" / "determinism.md"
    assert record.marked(page, determinism.NAME) == determinism.table()
