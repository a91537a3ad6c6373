"""A cluster of two processes, and data for it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import zarr
from cases.cluster import N_CELLS, N_GENES, cluster_of, smash
from cells import planted


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    """About ten tasks: what makes one is decided by the client."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 25)


@pytest.fixture(scope="module")
def cells():
    return planted(np.random.default_rng(0), n_cells=N_CELLS, n_genes=N_GENES)


@pytest.fixture(scope="module")
def stored(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    cells.write_h5ad(folder / "cells.h5ad")
    group = zarr.open_group(folder / "cells.zarr", mode="w")
    for name, matrix in {"csr": cells.X, "csc": cells.X.tocsc(), "dense": cells.X.toarray()}.items():
        ad.io.write_elem(group, name, matrix)
    return folder


@pytest.fixture(scope="module")
def alone(cells):
    """The selections of this machine, made once each."""
    made = {}

    def of(model):
        if model not in made:
            made[model] = smash(cells, cells.X, model)
        return made[model]

    return of
