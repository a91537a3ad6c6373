"""Correlation metrics against plain loops and the originals' numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.annotated.read import read
from smash_gpu.evaluation.peers import correlation


def test_correlations_are_numpys_whatever_the_container(data, hold):
    genes = np.array([0, 7, 33, 21])
    X = data.host_expression(genes).astype(np.float64)
    held = replace(data, matrix=hold(data.matrix))
    found, mean = correlation.correlation(held, genes)
    np.testing.assert_allclose(found, np.corrcoef(X, rowvar=False), atol=1e-6)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-6)


def test_gene_corr_is_the_plain_loop():
    r = np.array([[1, 0.82, -0.1], [0.82, 1, -0.78], [-0.1, -0.78, 1]])
    found = correlation.gene_corr(r)
    assert found["gene_corr 1 - mean"] == pytest.approx(1 - (0.82 + 0.1 + 0.78) / 3)
    steps = [(0.85 - 0.82) / 0.1, (0.85 - 0.82) / 0.1, (0.85 - 0.78) / 0.1]
    assert found["gene_corr perct max < 0.8"] == pytest.approx(np.mean(steps))
    constant = np.array([[1, 0.5, np.nan], [0.5, 1, np.nan], [np.nan] * 3])
    found = correlation.gene_corr(constant)
    assert found["gene_corr 1 - mean"] == 0.5
    assert found["gene_corr perct max < 0.8"] == 1


def test_marker_corr_is_the_plain_loop():
    r = np.array([[0.9, 0.2], [0.1, -0.4], [0.3, 0.3], [np.nan, np.nan]])
    mean = np.array([1.0, 0.02, 0.5, 1.0])
    markers = {"a": np.array([0, 1]), "b": np.array([2, 3])}
    found = correlation.marker_corr(r, mean, markers)
    assert found["marker_corr per marker"] == pytest.approx((0.9 + 0.1 + 0.3) / 3)
    assert found["marker_corr per celltype"] == pytest.approx((0.9 + 0.3) / 2)
    assert found["marker_corr per marker mean > 0.025"] == pytest.approx((0.9 + 0.3) / 2)


def test_a_constant_gene_has_no_correlation(cells):
    X = cells.X.toarray()
    X[:, 30] = 0
    cells.X = sparse.csr_matrix(X)
    data = read(cells, {"groupby": "cell_type"})
    found, _ = correlation.correlation(data, np.array([3, 30]))
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert found[0, 0] == pytest.approx(1)
