"""One order from those of several models: the properties of the rule, without any model."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from smash_gpu.selection import consensus, ranking
from smash_gpu.selection.consensus import K, agreement, combined, reciprocal_ranks


def by_hand(scores):
    """Reciprocal rank fusion of one list per model, by plain loops: genes with a positive score, best first."""
    total = np.zeros(len(scores[0]))
    for model in scores:
        scored = sorted((g for g in range(len(model)) if model[g] > 0), key=lambda g: -model[g])
        for rank, gene in enumerate(scored, start=1):
            total[gene] += (K + 1) / (K + rank)
    return total / len(scores)


def test_it_is_reciprocal_rank_fusion(rng):
    scores = rng.random((3, 40)) * (rng.random((3, 40)) < 0.6)
    mean, spread = combined(scores)
    np.testing.assert_allclose(mean, by_hand(scores))
    np.testing.assert_allclose(spread, np.std([by_hand([one]) for one in scores], axis=0, ddof=1))


def test_only_ranks_count(rng):
    scores = rng.normal(size=(2, 4, 30))
    other = np.stack([np.exp(3 * scores[0]) - 1, 1e-6 * scores[1] ** 3])
    np.testing.assert_array_equal(combined(other)[0], combined(scores)[0])


def test_one_model_keeps_its_order_and_its_signs(rng):
    scores = rng.normal(size=(5, 50)).round(1)
    found = reciprocal_ranks(scores)
    names = np.array([f"g{i:02}" for i in range(50)])
    np.testing.assert_array_equal(ranking.order(found, names), ranking.order(scores, names))
    np.testing.assert_array_equal(np.sign(found), np.sign(scores))
    np.testing.assert_array_equal(reciprocal_ranks(-scores), -found)


def test_the_models_have_no_order_and_their_names_for_genes_no_meaning(rng):
    scores = rng.normal(size=(3, 2, 25))
    whole, genes = combined(scores), rng.permutation(25)
    for order in permutations(range(3)):
        for one, other in zip(combined(scores[list(order)]), whole, strict=True):
            np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(combined(scores[..., genes])[0], whole[0][..., genes])


def test_first_in_every_model_is_one_and_models_that_agree_have_no_spread(rng):
    scores = np.tile(rng.normal(size=20), (4, 1))
    mean, spread = combined(scores)
    assert mean.max() == mean[scores[0].argmax()] == 1
    np.testing.assert_allclose(spread, 0, atol=1e-12)
    np.testing.assert_array_equal(mean, reciprocal_ranks(scores[0]))
    assert np.isnan(combined(scores[:1])[1]).all()


def test_a_gene_that_is_better_in_every_model_is_better(rng):
    scores = rng.random((3, 30))
    scores[:, 1] = scores[:, 0] + 0.1
    mean, _ = combined(scores)
    assert mean[1] > mean[0]


def test_equal_scores_share_their_rank():
    found = reciprocal_ranks(np.array([2.0, 5.0, 2.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, [(K + 1) / (K + 2.5), 1, (K + 1) / (K + 2.5), 0, 0])


def test_a_gene_that_one_model_lacks_counts_nothing_there_and_moves_no_other():
    scores = np.array([[3.0, 2.0, np.nan, 1.0], [np.nan, 1.0, np.nan, 2.0]])
    mean, spread = combined(scores)
    np.testing.assert_allclose(mean, [0.5, (K + 1) / (K + 2), np.nan, (1 + (K + 1) / (K + 3)) / 2])
    assert np.isnan(spread).tolist() == [False, False, True, False]
    np.testing.assert_array_equal(reciprocal_ranks(scores[0])[[0, 1, 3]], reciprocal_ranks(scores[0, [0, 1, 3]]))


@pytest.mark.parametrize("shape", [(2, 0), (2, 3, 0), (2, 0, 4)])
def test_nothing_to_rank(shape):
    mean, spread = combined(np.empty(shape))
    assert mean.shape == spread.shape == shape[1:]


def test_agreement_is_what_each_model_alone_would_choose(rng):
    names = rng.permutation([f"g{i:02}" for i in range(30)])
    scores, allowed = rng.normal(size=(3, 4, 30)).round(1), rng.random((4, 30)) < 0.5
    ranks, share = agreement(scores, allowed, names, 5)
    chosen = np.zeros((4, 30))
    for model in scores:
        alone = np.where(allowed & (model > 0), model, np.nan)
        for group, genes in enumerate(ranking.first_of_each(alone, names, 5)):
            chosen[group, genes] += 1
    np.testing.assert_allclose(share, chosen / 3)
    for model, rank in zip(scores, ranks, strict=True):
        for group in range(4):
            order = [g for g in ranking.order(model[group], names) if allowed[group, g]]
            assert [rank[group, g] for g in order] == list(range(1, len(order) + 1))
            assert not rank[group, ~allowed[group]].any()


def test_no_gene_may_be_a_marker():
    ranks, share = agreement(np.ones((2, 1, 3)), np.zeros((1, 3), dtype=bool), np.array(list("abc")), 5)
    assert not ranks.any()
    assert not share.any()


def test_the_rule_is_said_with_its_number():
    assert f"{K + 1} / ({K} + rank" in consensus.IN_WORDS
