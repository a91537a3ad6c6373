"""Thinned counts and failing genes."""

from __future__ import annotations

import numpy as np
import pytest
from cases.lists import MARKERS, data_of, judged

from smash_gpu import evaluation
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Condition, Judging, degrade, summary


def test_thinned_counts_keep_their_share_and_are_binomial(adata):
    data = data_of(adata)
    genes = np.array([0, 4, 30])
    counts = adata.X.toarray()
    library = counts.sum(axis=1)
    np.testing.assert_allclose(degrade.library_sizes(data), library)
    kept = []
    for seed in range(60):
        e = degrade.expression(data, genes, Condition(0.3), seed)
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
    alone = degrade.expression(data, np.array([7]), Condition(0.5), 1)
    together = degrade.expression(data, np.array([3, 7, 20]), Condition(0.5), 1)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])


def test_keeping_every_count_is_the_expression_itself(adata):
    data, genes = data_of(adata), np.array([1, 9])
    np.testing.assert_array_equal(degrade.expression(data, genes, Condition(1.0), 0), data.host_expression(genes))
    nearly = degrade.expression(data, genes, Condition(1 - 1e-12), 0)
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


def test_a_gene_is_multiplied_by_its_own_factor_and_false_counts_are_added(adata):
    """The whole part of count · factor is certain, the rest a chance; background is Poisson in every cell."""
    data, genes = data_of(adata), np.arange(40)
    counts, library = adata.X.toarray()[:, genes], adata.X.toarray().sum(axis=1)[:, None]
    biased = np.expm1(degrade.expression(data, genes, Condition(gene_bias=0.9), 3)) * library / 1e4
    np.testing.assert_allclose(biased, np.round(biased), atol=1e-2)
    assert (np.round(biased)[counts == 0] == 0).all()
    many = counts.sum(axis=0) > 100
    factor = biased.sum(axis=0)[many] / counts.sum(axis=0)[many]
    assert 0.5 < np.log(factor).std() < 1.3
    noisy = np.expm1(degrade.expression(data, genes, Condition(background=0.5), 3)) * library / 1e4 - counts
    noisy = np.round(noisy)
    assert noisy.min() == 0 and noisy.mean() == pytest.approx(0.5, abs=0.03) == noisy.var()


def test_the_factor_of_a_gene_is_the_same_in_all_cells_and_seeds_differ(adata):
    data, genes = data_of(adata), np.arange(20)
    first, again, other = (
        degrade.expression(data, genes, Condition(gene_bias=0.9, background=0.1), seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    part = degrade.expression(data, genes[5:7], Condition(gene_bias=0.9, background=0.1), 1)
    np.testing.assert_array_equal(part, first[:, 5:7])


def test_one_platform_is_judged_beside_the_intact_cells(adata):
    platform = {"gene_bias": 0.9, "background": 0.5, "thin": 0.1, "dropout": 0.1}
    table = judged(adata, genes=MARKERS, degrade=platform, n_splits=2)
    assert table.groupby(list(platform)).size().to_dict() == {(0, 0, 1, 0): 2, tuple(platform.values()): 2}
    error = table.groupby("thin")["misclassification"].mean()
    assert error[0.1] > error[1.0] + 0.1
    compared = summary.comparison(table)
    assert compared.groupby("metric").size().eq(2).all()


def test_intact_training_cells_are_not_degraded(adata):
    """A failing gene tells nothing in held-out cells, whatever the training cells say."""
    data = data_of(adata)
    split = Split(np.arange(160), np.arange(160, 240))
    seen = []

    def predict(X, group, split, *, training=None, **how):
        seen.append((X, training))
        return group[split.test]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smash_gpu.evaluation.cross_validation.predict", predict)
        how = Judging(conditions=(evaluation.INTACT, Condition(thin=0.3)), intact_training=True)
        evaluation.evaluate(data, lambda _: np.array([0, 4]), [split], how=how)
    (intact, none), (thinned, training) = seen
    assert none is None
    np.testing.assert_array_equal(training, intact)
    assert (thinned != intact).any()


def test_training_and_held_out_cells_of_two_platforms_are_scaled_each_on_their_own(rng):
    X = rng.normal(size=(60, 3)).astype(np.float32)
    X[:, 0] += np.arange(60) % 2 * 4
    split, group = Split(np.arange(40), np.arange(40, 60)), np.arange(60) % 2
    shifted = 3 * X + 100
    found = evaluation.predict(shifted, group, split, scale_on_all=False, training=X)
    np.testing.assert_array_equal(
        found, evaluation.predict(shifted, group, split, scale_on_all=False, training=shifted)
    )
    assert (found == group[split.test]).mean() > 0.9


def test_a_platform_that_is_none_is_refused(adata):
    with pytest.raises(ValueError, match="degrade='tin' is not one of .* Did you mean 'thin'"):
        judged(adata, genes=MARKERS, degrade={"tin": 0.5})
    with pytest.raises(ValueError, match="background=-1.0 must be a number that is at least 0"):
        judged(adata, genes=MARKERS, degrade={"background": -1})
    adata.X = adata.X * 12.5
    with pytest.raises(ValueError, match="gene_bias= needs raw counts, but the matrix holds fractional values"):
        judged(adata, genes=MARKERS, degrade={"gene_bias": 0.9})
