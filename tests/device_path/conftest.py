"""A device that is not there, and data for it."""

from __future__ import annotations

import pytest
import strict_cupy
from cells import planted

from smash_gpu.annotated.read import read


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 50)
    return strict_cupy.install(monkeypatch)


@pytest.fixture
def data(rng):
    """The planted cells, read for a device."""
    return read(planted(rng), {"groupby": "cell_type", "device": "cpu"})
