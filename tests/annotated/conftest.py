"""Cells with names that a file format could misread."""

from __future__ import annotations

import numpy as np
import pytest
from cases.slots import GROUPS
from cells import planted


@pytest.fixture
def cells(rng):
    """Cells in groups whose names a file must not take for folders, with donors and broad types."""
    adata = planted(rng, groups=GROUPS, n_genes=40)
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(GROUPS[:2]), "T/NK", "other")
    return adata
