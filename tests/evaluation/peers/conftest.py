"""The cells that the original tools saw."""

from __future__ import annotations

import numpy as np
import pytest
from cases.peers import ORIGINAL

from smash_gpu.annotated.read import read


@pytest.fixture
def cells(adata):
    """The cells that the originals saw."""
    found = adata.X.sum(), (adata.X.toarray() * np.arange(1, 61)).sum()
    expected = ORIGINAL["cells"]
    assert found == (expected["sum"], expected["weighted"]), "other cells than the frozen numbers are of: freeze again"
    return adata


@pytest.fixture
def data(cells):
    return read(cells, {"groupby": "cell_type"})
