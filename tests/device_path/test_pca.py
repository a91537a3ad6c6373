"""Principal components by cuML on a stand-in device: it computes what the moments give, and is used where it fits."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cases.device import library, on
from cells import in_dask
from strict_cupy import DeviceArray

import smash_gpu as smg
from smash_gpu.compute import pca
from smash_gpu.selection import harmony, scoring, steps
from smash_gpu.selection.options import Filters, InversePCA


class StandInPCA:
    """Takes what cuML's PCA takes, and counts its fits."""

    fits = 0

    def __init__(self, *, n_components, svd_solver, output_type):
        assert (svd_solver, output_type) == ("full", "cupy")
        self.n_components = n_components

    def fit(self, X):
        assert isinstance(X, DeviceArray) and X.dtype == np.float64
        StandInPCA.fits += 1
        x = X.get() - X.get().mean(axis=0)
        _, singular, axes = np.linalg.svd(x, full_matrices=False)
        self.components_ = DeviceArray(axes[: self.n_components])
        self.explained_variance_ratio_ = DeviceArray((singular**2 / (singular**2).sum())[: self.n_components])
        return self


@pytest.fixture
def cuml(device, monkeypatch):
    """The stand-in device with cuML."""
    monkeypatch.setitem(sys.modules, "cuml", library())
    monkeypatch.setitem(sys.modules, "cuml.decomposition", SimpleNamespace(PCA=StandInPCA))
    monkeypatch.setattr(pca, "find_spec", sys.modules.get)
    monkeypatch.setattr(StandInPCA, "fits", 0)
    return device


HOW = InversePCA(n_top=3, variance=0.3)


def kept(data):
    candidates, _ = steps.filter_genes(data, Filters(families=()))
    return steps.inverse_pca(data, candidates, HOW)[0]


def test_cuml_keeps_the_genes_of_the_moments(cuml, data):
    expected, found = kept(data), kept(on(data, "cuda"))
    assert StandInPCA.fits == 1
    np.testing.assert_array_equal(found, expected)


class ClassMeans:
    """A model on the host, so that cuML could be asked for components only."""

    def fit(self, X, group, split):
        self.means = np.stack([X[group == code].mean(axis=0) for code in np.unique(group)])
        return self

    def importance(self, X, group, split):
        return self.means

    def predict(self, X):
        return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)


@pytest.mark.slow
def test_cuml_is_not_asked_by_default_but_by_the_paper_s_setting(cuml, adata):
    setting = {"model": ClassMeans(), "device": "cuda"}
    smg.tl.smash(adata, "cell_type", **setting)
    assert StandInPCA.fits == 0
    smg.tl.smash(adata, "cell_type", **smg.paper("rf") | setting | {"model_options": {}})
    assert StandInPCA.fits == 1


def test_genes_that_do_not_vary_have_no_loading(cuml, rng):
    e = rng.gamma(1.0, 1.0, (80, 12)).astype(np.float32)
    e[:, [2, 7]] = 0, 0.1
    varies = np.setdiff1d(np.arange(12), [2, 7])
    correlation = np.zeros((12, 12))
    correlation[np.ix_(varies, varies)] = np.corrcoef(e[:, varies].astype(float), rowvar=False)
    options = {"n_top": 2, "variance": 0.7}
    found = pca.inverse_pca_of_cells(DeviceArray(e), **options)
    np.testing.assert_array_equal(found, pca.inverse_pca(correlation, **options))
    assert not found[[2, 7]].any()


@pytest.mark.parametrize("why", ["no cuML", "no memory", "a stream", "the host"])
def test_elsewhere_the_moments_are_used(cuml, data, monkeypatch, why):
    expected, gpu = kept(data), on(data, "cuda")
    if why == "no cuML":
        monkeypatch.setattr(pca, "find_spec", lambda name: None)
    if why == "no memory":
        monkeypatch.setattr(pca, "device_room", lambda: 2 * 24 * len(data.cells) * 10)
    if why == "a stream":
        pytest.importorskip("dask.array")
        gpu = replace(gpu, matrix=in_dask(data.matrix, 70))
    np.testing.assert_array_equal(kept(data if why == "the host" else gpu), expected)
    assert StandInPCA.fits == 0


@pytest.mark.parametrize("where", ["memory", "a stream"])
def test_fewer_cells_than_genes_are_decomposed_by_cells_on_a_device_too(cuml, data, monkeypatch, where):
    few = data.only(data.cells[::8])
    n_genes = int(steps.filter_genes(few, Filters(families=()))[0].sum())
    assert len(few.cells) < n_genes
    expected, gpu, sides, honest = kept(few), on(few, "cuda"), [], pca.leading
    if where == "a stream":
        pytest.importorskip("dask.array")
        gpu = replace(gpu, matrix=in_dask(data.matrix, 70))
    monkeypatch.setattr(pca, "leading", lambda matrix, count: sides.append(matrix.shape) or honest(matrix, count))
    np.testing.assert_array_equal(kept(gpu), expected)
    assert (sides, StandInPCA.fits) == ([(len(few.cells),) * 2], 0)


def test_cuml_gives_no_more_components_than_cells(cuml):
    assert pca.fits_cuml(60, 60)
    assert not pca.fits_cuml(59, 60)


def test_cuml_refuses_a_single_gene(cuml):
    assert not pca.fits_cuml(60, 1)


def test_the_leading_components_span_those_of_the_moments(cuml, data):
    genes = np.arange(40)
    mean, axes = harmony.leading_components_of_cells(on(data, "cuda").expression(genes), 5)
    sums = data.moments(genes)
    np.testing.assert_allclose(mean.get(), sums.mean, rtol=1e-6)
    expected, found = harmony.leading_components(sums, 5), axes.get()
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)


def test_batches_are_corrected_without_another_pass(cuml, data, monkeypatch):
    genes, batch = np.arange(40), pd.Categorical(np.array(["x", "y"])[np.arange(len(data.group)) % 2])
    monkeypatch.setattr(scoring, "harmonize", lambda components, *_, **__: components * 0.5)
    shifted = []
    for part in (replace(data, batch=batch), replace(on(data, "cuda"), batch=batch)):
        X = part.expression(genes)
        if part.device == "cuda":
            monkeypatch.setattr(type(part), "moments", None)
        shift = scoring.batch_shift(part, genes, X, np.arange(len(X)), random_state=0)
        shifted.append(shift.added_to(X, np.arange(len(X))))
    assert StandInPCA.fits == 1
    np.testing.assert_allclose(shifted[1].get(), shifted[0], atol=1e-4)
