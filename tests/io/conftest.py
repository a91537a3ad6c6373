"""Files that count as large, and matrices that must not be loaded."""

from __future__ import annotations

import pytest
from anndata.abc import CSCDataset, CSRDataset

from smash_gpu.io import csc_to_csr, open
from smash_gpu.io.stack import Stack


@pytest.fixture
def on_disk(monkeypatch):
    """Every file counts as large."""
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 50)


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """No matrix on disk is read but in blocks of consecutive cells."""

    def loaded(*_):
        raise AssertionError("a whole matrix was loaded")

    for kind in (*CSRDataset.__subclasses__(), *CSCDataset.__subclasses__()):
        monkeypatch.setattr(kind, "to_memory", loaded)
        monkeypatch.setattr(kind, "__getitem__", loaded)
    monkeypatch.setattr(Stack, "to_memory", loaded)


@pytest.fixture(autouse=True)
def nothing_is_converted_yet():
    csc_to_csr._folders.clear()


@pytest.fixture(params=["in memory", "on disk"])
def wherever(request, monkeypatch):
    """Several files in memory, and left on disk."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 50)
    if request.param == "on disk":
        monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    return request.param
