"""Two thousand cells in order of their groups, and no room in memory."""

from __future__ import annotations

import numpy as np
import pytest
from cases.parts import N_GENES
from cells import planted

from smash_gpu.annotated.read import read
from smash_gpu.data import shuffle
from smash_gpu.models import boosted
from smash_gpu.selection import scoring


@pytest.fixture
def no_room(monkeypatch):
    """Everything that may lie in a file does."""
    monkeypatch.setattr(scoring, "SHARE_FOR_EXPRESSION", 0)
    monkeypatch.setattr(boosted, "SHARE_FOR_BINS", 0)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(shuffle, "BYTES_PER_BLOCK", 300 * 4 * N_GENES)


@pytest.fixture
def data(rng):
    adata = planted(rng, n_cells=2000)
    return read(adata[np.argsort(adata.obs["cell_type"])].copy(), {"groupby": "cell_type"})
