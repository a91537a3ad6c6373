"""Selections of four groups of blood cells, of seven, forty and hostile ones."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from cases.figures import selected

mpl.use("Agg")


@pytest.fixture(scope="session")
def seven():
    return selected([f"type {i}" for i in range(7)])


@pytest.fixture(scope="session")
def blood():
    return selected(["CD14+ Mono", "CD16+ Mono", "CD4 T", "Mk"])


@pytest.fixture(scope="session")
def forty():
    return selected([f"subtype {i} of 40" for i in range(40)], n_cells=600)
