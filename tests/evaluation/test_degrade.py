"""Thinned counts and failing genes."""

from __future__ import annotations

import numpy as np
import pytest
from cases.lists import MARKERS, data_of, judged

from smash_gpu import evaluation
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Condition, Judging, degrade


def test_thinned_counts_keep_their_share_and_are_binomial(adata):
    data = data_of(adata)
    genes = np.array([0, 4, 30])
    counts = adata.X.toarray()
    library = counts.sum(axis=1)
    np.testing.assert_allclose(degrade.library_sizes(data), library)
    kept = []
    for seed in range(60):
        e = degrade.expression(data, genes, 0.3, seed)
        thinned = np.expm1(e) * 0.3 * library[:, None] / 1e4
        assert np.abs(thinned - np.round(thinned)).max() < 1e-3, "whole counts"
        assert (np.round(thinned) <= counts[:, genes]).all()
        kept.append(np.round(thinned))
    kept, n = np.array(kept), counts[:, genes]
    assert kept.sum() / (60 * n.sum()) == pytest.approx(0.3, abs=0.01)
    large = n >= 5
    np.testing.assert_allclose((kept.var(axis=0) / np.maximum(0.3 * 0.7 * n, 1e-9))[large].mean(), 1, atol=0.06)


def test_what_a_thinned_gene_becomes_does_not_depend_on_the_others(adata):
    data = data_of(adata)
    alone = degrade.expression(data, np.array([7]), 0.5, 1)
    together = degrade.expression(data, np.array([3, 7, 20]), 0.5, 1)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])


def test_keeping_every_count_is_the_expression_itself(adata):
    data, genes = data_of(adata), np.array([1, 9])
    np.testing.assert_array_equal(degrade.expression(data, genes, 1.0, 0), data.host_expression(genes))
    nearly = degrade.expression(data, genes, 1 - 1e-12, 0)
    np.testing.assert_allclose(nearly, data.host_expression(genes), rtol=1e-5)


def test_thinning_costs_accuracy_and_needs_counts(adata):
    table = judged(adata, genes=MARKERS, thin=[0.5, 0.05], n_splits=2)
    error = table.groupby("thin")["misclassification"].mean()
    assert error.index.tolist() == [0.05, 0.5, 1.0]
    assert error[0.05] > error[0.5] + 0.1
    counts = adata.X.toarray()
    adata.X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match="thin= needs raw counts.*layer="):
        judged(adata, genes=MARKERS, thin=0.5, normalize=False)
    adata.X = counts * 12.5
    with pytest.raises(ValueError, match="holds fractional values"):
        judged(adata, genes=MARKERS, thin=0.5)


def test_failing_genes_read_zero_for_training_and_judging_alike(adata):
    """As if the list had been shorter: a gene that reads zero everywhere tells nothing."""
    data = data_of(adata)
    split = Split(np.arange(160), np.arange(160, 240))
    genes = np.arange(12)
    how = Judging(conditions=(Condition(), Condition(dropout=0.4)), random_state=2)
    found = evaluation.evaluate(data, lambda _: genes, [split], how=how)
    fails = degrade.failed(data.names, 0.4, (2, 1, 0))
    left = genes[~fails[genes]]
    assert 0 < len(left) < 12
    alone = evaluation.evaluate(data, lambda _: left, [split])
    np.testing.assert_array_equal(found.confusions[1], alone.confusions[0])
    names = np.array([f"gene{i}" for i in range(4000)])
    assert degrade.failed(names, 0.2, (0, 1)).mean() == pytest.approx(0.2, abs=0.02)
