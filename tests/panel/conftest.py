"""Planted cells, read."""

from __future__ import annotations

import pytest

from smash_gpu.annotated.read import read


@pytest.fixture
def data(adata):
    return read(adata, {"groupby": "cell_type"})
