"""The inverse PCA on a device: by cuML, by moments and by the products of cells it keeps the same genes."""

from __future__ import annotations

import numpy as np
import pytest
from cells import planted

from smash_gpu.annotated.read import read
from smash_gpu.compute import pca
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, InversePCA

pytestmark = pytest.mark.gpu


def test_inverse_pca_by_cuml_and_by_moments_keeps_the_same_genes(rng, monkeypatch):
    """cuML where the candidates of all cells fit into memory, the moments and their eigenvectors elsewhere."""
    pytest.importorskip("cuml")
    data = read(planted(rng, n_cells=500), {"groupby": "cell_type", "device": "cuda"})
    candidates, _ = steps.filter_genes(data, Filters(families=()))
    by_cuml, fitted = [], pca.cuml_pca
    monkeypatch.setattr(pca, "cuml_pca", lambda *a: by_cuml.append(a) or fitted(*a))
    kept = [steps.inverse_pca(data, candidates, InversePCA(n_top=4, variance=0.5))[0]]
    assert len(by_cuml) == 1
    monkeypatch.setattr(pca, "device_room", lambda: 0)
    kept.append(steps.inverse_pca(data, candidates, InversePCA(n_top=4, variance=0.5))[0])
    assert len(by_cuml) == 1
    np.testing.assert_array_equal(*kept)
    assert 0 < kept[0].sum() < candidates.sum()


def test_inverse_pca_of_fewer_cells_than_genes_keeps_the_genes_of_the_cpu(rng):
    """By the products of cells on either side."""
    kept = []
    adata = planted(rng, n_cells=60, n_genes=300)
    for device in ("cpu", "cuda"):
        data = read(adata, {"groupby": "cell_type", "device": device})
        candidates, _ = steps.filter_genes(data, Filters(families=(), min_fraction=0))
        assert candidates.sum() > len(data.cells)
        kept.append(steps.inverse_pca(data, candidates, InversePCA(n_top=2, variance=0.5))[0])
    np.testing.assert_array_equal(*kept)
    assert 0 < kept[0].sum() < candidates.sum()
