"""Inverse PCA against StandardScaler and a full PCA."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.compute import pca
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.standardize import mean_std, standardize
from smash_gpu.selection import steps
from smash_gpu.selection.options import InversePCA


def by_scikit_learn(z, n_top, variance):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    fitted = PCA(svd_solver="full").fit(StandardScaler().fit_transform(z.astype(np.float64)))
    n_components = int(np.argmax(np.cumsum(fitted.explained_variance_ratio_) > variance)) + 1
    genes = {g for axis in fitted.components_[:n_components] for g in np.argsort(-np.abs(axis))[:n_top]}
    return genes, n_components


def dataset(matrix, group, device="cpu"):
    names = np.array([f"g{i}" for i in range(matrix.shape[1])], dtype=object)
    return Dataset(matrix, group, np.array(["a", "b"], dtype=object), names, names, device=device)


@pytest.mark.parametrize("shape", [(300, 40), (30, 60)], ids=["more cells", "more genes"])
def test_same_genes_as_standard_scaler_and_full_pca(hold, rng, shape):
    programme = rng.gamma(1, 1, (shape[0], 4)) @ rng.gamma(0.3, 1, (4, shape[1]))
    data = dataset(hold(rng.poisson(programme)), rng.integers(-1, 2, shape[0]), hold.device)
    all_genes = np.ones(shape[1], dtype=bool)
    X = data.host_expression(np.arange(shape[1]))
    expected, _ = by_scikit_learn(standardize(X, *mean_std(X)), 3, 0.5)
    mask, ledger = steps.inverse_pca(data, all_genes, InversePCA(n_top=3, variance=0.5))
    assert set(np.flatnonzero(mask)) == expected
    assert 0 < mask.sum() < shape[1]
    assert ledger["left"].tolist() == [mask.sum()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paul15", "pbmc_3batch_symphony"])
def test_same_genes_on_real_counts(shared, name):
    adata = shared(name)
    data = dataset(adata.X, np.zeros(adata.n_obs, dtype=int))
    candidates = data.stats.pooled.fraction[0] > 0.1
    X = data.expression(np.flatnonzero(candidates))
    expected, n_components = by_scikit_learn(standardize(X, *mean_std(X)), 2, 0.5)
    mask, _ = steps.inverse_pca(data, candidates, InversePCA(n_top=2, variance=0.5))
    assert n_components > 10
    assert set(np.flatnonzero(mask[candidates])) == expected


def test_only_candidates_pass_and_kept_genes_stay(rng):
    data = dataset(sparse.csr_matrix(rng.poisson(1.0, (80, 20)).astype(float)), np.zeros(80, dtype=int))
    candidates = np.arange(20) < 12
    mask, _ = steps.inverse_pca(data, candidates, InversePCA(n_top=1, variance=0.05, keep=("g3", "g15")))
    assert mask[3]
    assert not mask[12:].any()
    assert mask.sum() < 12


@pytest.mark.parametrize("seed", range(12))
def test_the_smaller_side_and_few_components_keep_the_genes_of_a_full_decomposition(seed):
    """Shapes, numbers of programmes and shares at random; a gene that does not vary is among them."""
    rng = np.random.default_rng(seed)
    n_cells, n_genes = rng.integers(3, 90, 2)
    e = rng.gamma(1, 1, (n_cells, 4)) @ rng.gamma(0.3, 1, (4, n_genes)) + rng.gamma(1, 0.5, (n_cells, n_genes))
    e[:, 0] = 0.1
    z = pca.standardised(e)
    _, singular, axes = np.linalg.svd(z)
    variance, n_top = rng.uniform(0.05, 0.98), int(rng.integers(1, 4))
    crossed = int(np.argmax(np.cumsum(singular**2) > variance * (singular**2).sum()))
    expected = {int(g) for axis in axes[: crossed + 1] for g in np.argsort(-np.abs(axis))[:n_top]}
    options = {"n_top": n_top, "variance": variance}
    for mask in (pca.inverse_pca(z.T @ z / n_cells, **options), pca.inverse_pca_by_cells(e, **options)):
        assert set(np.flatnonzero(mask)) == expected


def test_axes_without_variance_have_no_genes(rng):
    """Four cells span three components, however many genes there are."""
    e = rng.gamma(1.0, 1.0, (4, 30))
    z = pca.standardised(e)
    top = np.abs(np.linalg.svd(z)[2][:3]).argmax(axis=1)
    options = {"n_top": 1, "variance": 1.0}
    for mask in (pca.inverse_pca(z.T @ z / 4, **options), pca.inverse_pca_by_cells(e, **options)):
        assert set(np.flatnonzero(mask)) == set(top)


@pytest.mark.parametrize("shape", [(30, 60), (60, 30)])
def test_the_matrix_that_is_decomposed_has_the_smaller_side(rng, monkeypatch, shape):
    sides, honest = [], pca.leading
    monkeypatch.setattr(pca, "leading", lambda matrix, how_many: sides.append(len(matrix)) or honest(matrix, how_many))
    data = dataset(sparse.csr_matrix(rng.poisson(2.0, shape).astype(float)), np.zeros(shape[0], dtype=int))
    steps.inverse_pca(data, np.ones(shape[1], dtype=bool), InversePCA(n_top=2))
    assert sides == [30]


def test_the_component_that_crosses_the_variance_counts():
    correlation = np.diag([4.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(pca.inverse_pca(correlation, n_top=1, variance=0.4), [True, True, False, False])
    np.testing.assert_array_equal(pca.inverse_pca(correlation, n_top=1, variance=0.39), [True, False, False, False])
