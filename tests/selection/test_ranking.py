"""From scores to markers: order and ties, turns, the sample rule, direction, and the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu.data.stats import GroupStats, group_stats
from smash_gpu.selection import effects, ranking

NAN = float("nan")
FEW = settings(max_examples=60)


def letters(text):
    return np.array(list(text), dtype=object)


@st.composite
def score_tables(draw):
    """Groups × genes with many ties and gaps, and gene names in no order."""
    seed, n_groups, n_genes = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rng = np.random.default_rng(seed)
    scores = rng.integers(-2, 4, (n_groups, n_genes)) / 2.0
    scores[rng.random(scores.shape) < 0.3] = np.nan
    return scores, rng.permutation([f"G{i}" for i in range(n_genes)]).astype(object)


def test_genes_come_by_falling_score_then_by_name_and_nan_last():
    scores = np.array([1.0, NAN, 3.0, 1.0, -2.0, NAN])
    assert letters("dfabce")[ranking.order(scores, letters("dfabce"))].tolist() == list("abdcef")


def test_infinite_scores_stand_before_and_after_all_others_but_before_nan():
    scores = np.array([NAN, -np.inf, 0.0, np.inf])
    assert ranking.order(scores, letters("abcd")).tolist() == [3, 2, 1, 0]


@FEW
@given(score_tables())
def test_order_is_sorting_each_group_by_score_and_name(table):
    scores, names = table
    for row, score in zip(ranking.order(scores, names), scores, strict=True):
        key = [(np.isnan(s), 0 if np.isnan(s) else -s, name) for s, name in zip(score, names, strict=True)]
        assert row.tolist() == sorted(range(len(names)), key=key.__getitem__)


@FEW
@given(score_tables(), st.randoms())
def test_the_order_of_the_columns_changes_nothing(table, random):
    scores, names = table
    columns = random.sample(range(len(names)), len(names))
    before, after = ranking.order(scores, names), ranking.order(scores[:, columns], names[columns])
    np.testing.assert_array_equal(names[before], names[columns][after])


def test_a_gene_without_a_score_is_no_marker():
    scores = np.array([[3.0, NAN, 1.0], [NAN, NAN, NAN]])
    first, second = ranking.first_of_each(scores, letters("abc"), 3)
    assert first.tolist() == [0, 2]
    assert second.tolist() == []


def test_first_of_each_takes_the_best_of_every_group():
    scores = np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0]])
    assert [row.tolist() for row in ranking.first_of_each(scores, letters("abc"), 2)] == [[0, 1], [1, 0]]


def plain_turns(scores, names, n_turns):
    """In each turn every group chooses once, the one with the highest best score first."""
    free, order = set(range(len(names))), []
    for _ in range(n_turns):
        waiting = set(range(len(scores)))
        while True:
            offers = [
                (-scores[c, g], names[g], c, g) for c in waiting for g in free if not np.isnan(scores[c, g])
            ]  # fmt: skip
            if not offers:
                break
            *_, group, gene = min(offers)
            waiting.remove(group)
            free.remove(gene)
            order.append((group, gene))
    return order


@FEW
@given(score_tables(), st.integers(0, 6))
def test_taking_turns_is_the_plain_loop(table, n_turns):
    scores, names = table
    assert list(ranking.take_turns(scores, names, n_turns)) == plain_turns(scores, names, n_turns)


def test_a_group_that_lost_its_first_gene_takes_its_second_before_anyone_chooses_twice():
    scores = np.array([[9.0, 8.0, 7.0, 6.0], [5.0, NAN, 1.0, NAN]])
    assert list(ranking.take_turns(scores, letters("abcd"), 2)) == [(0, 0), (1, 2), (0, 1)]


@FEW
@given(score_tables(), st.integers(1, 5))
def test_unique_markers_serve_one_group_and_every_group_in_turn(table, n_top):
    scores, names = table
    chosen = ranking.first_of_each(scores, names, n_top, unique=True)
    genes = np.concatenate(chosen)
    assert len(set(genes.tolist())) == len(genes)
    for score, row in zip(scores, chosen, strict=True):
        assert len(row) <= n_top
        assert not np.isnan(score[row]).any()
        assert (np.diff(score[row]) <= 0).all()
    left = set(range(len(names))) - set(genes.tolist())
    for score, row in zip(scores, chosen, strict=True):
        assert len(row) == n_top or all(np.isnan(score[g]) for g in left), "a group with free genes has all it may"


def plain_sample_rule(detected, cells, min_cells, min_fraction):
    n_groups, n_samples, n_genes = detected.shape
    allowed, share = np.zeros((n_groups, n_genes), dtype=bool), np.zeros((n_groups, n_genes))
    for c in range(n_groups):
        samples = [s for s in range(n_samples) if cells[c, s] >= min_cells]
        for g in range(n_genes):
            seen = [s for s in samples if detected[c, s, g] > 0]
            if samples:
                share[c, g] = len(seen) / len(samples)
                allowed[c, g] = share[c, g] >= min_fraction
    return allowed, share


@FEW
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_the_sample_rule_is_the_plain_loop(seed, min_cells, min_fraction):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 6, (3, 10))
    cells[rng.random(cells.shape) < 0.2] = 0
    detected = rng.binomial(cells[:, :, None], 0.3, (3, 10, 8))
    found = ranking.sample_rule(detected, cells, min_cells=min_cells, min_fraction=min_fraction)
    allowed, share = plain_sample_rule(detected, cells, min_cells, min_fraction)
    np.testing.assert_array_equal(found.allowed, allowed)
    np.testing.assert_array_equal(found.samples, share)


def test_a_gene_seen_in_exactly_70_percent_of_the_samples_may_be_a_marker():
    detected = np.zeros((1, 10, 2), dtype=int)
    detected[0, :7, 0] = detected[0, :6, 1] = 1
    rule = ranking.sample_rule(detected, np.ones((1, 10), dtype=int))
    assert rule.allowed.tolist() == [[True, False]]
    assert rule.samples.tolist() == [[0.7, 0.6]]


def test_samples_without_cells_of_a_group_do_not_count_for_it():
    cells = np.array([[5, 5, 0, 0], [5, 5, 5, 5]])
    detected = np.array([[[1], [1], [0], [0]], [[1], [1], [0], [0]]])
    assert ranking.sample_rule(detected, cells).allowed[:, 0].tolist() == [True, False]


def test_samples_with_too_few_cells_of_a_group_do_not_count_for_it():
    cells, detected = np.array([[9, 9, 1]]), np.array([[[3], [3], [0]]])
    assert ranking.sample_rule(detected, cells, min_cells=1).allowed.tolist() == [[False]]
    assert ranking.sample_rule(detected, cells, min_cells=2).allowed.tolist() == [[True]]


def test_a_group_that_no_sample_has_enough_cells_of_has_no_markers():
    cells, detected = np.array([[2, 2], [9, 9]]), np.array([[[2], [2]], [[2], [2]]])
    rule = ranking.sample_rule(detected, cells, min_cells=5)
    assert rule.allowed[:, 0].tolist() == [False, True]
    assert rule.samples[:, 0].tolist() == [0.0, 1.0]


@pytest.fixture
def cells_of_three_groups(rng):
    """Expression as it is stored, the group of each cell (one left out), and the sums of both."""
    X = rng.poisson(1.0, (40, 6)) * 0.5
    group = np.append(rng.integers(0, 3, 39), -1)
    return X, group, group_stats(X, group, 3, target_sum=None)


def test_direction_is_up_where_the_mean_is_at_least_that_of_the_rest(cells_of_three_groups):
    X, group, stats = cells_of_three_groups
    up = effects.directions(stats)
    for c in range(3):
        for g in range(6):
            assert up[c, g] == (X[group == c, g].mean() >= X[(group >= 0) & (group != c), g].mean())


def test_equal_means_are_up():
    table = np.full((2, 1), 3)
    assert effects.directions(GroupStats(np.array([4, 4]), table, *[table * 1.0] * 3)).all()


def test_the_marker_table_is_the_plain_loop(cells_of_three_groups, rng):
    X, group, stats = cells_of_three_groups
    scores, samples, auc = rng.normal(size=(3, 6)), rng.random((3, 6)), rng.random((3, 6))
    names, groups = letters("abcdef"), np.array(["NK/T", "CD4+ T", "B"], dtype=object)
    markers = [np.array([4, 1]), np.array([], dtype=int), np.array([0, 5, 1])]
    table = ranking.marker_table(markers, scores, stats, groups=groups, names=names, auc=auc, samples=samples)
    expected = [(c, r, g) for c, row in enumerate(markers) for r, g in enumerate(row, start=1)]
    assert len(table) == len(expected)
    for (_, row), (c, rank, g) in zip(table.iterrows(), expected, strict=True):
        inside, outside = X[group == c, g], X[(group >= 0) & (group != c), g]
        assert (row["group"], row["rank"], row["name"]) == (groups[c], rank, names[g])
        assert row["score"] == scores[c, g]
        assert row["samples"] == samples[c, g]
        assert row["auc"] == auc[c, g]
        assert row["log2_fold_change"] == pytest.approx((inside.mean() - outside.mean()) / np.log(2))
        means = np.array([X[group == k, g].mean() for k in range(3)])
        assert row["specificity"] == pytest.approx((1 - means / means.max()).sum() / 2)
        assert row["direction"] == ("up" if inside.mean() >= outside.mean() else "down")
        assert row["fraction_in"] == (inside > 0).mean()
        assert row["fraction_out"] == (outside > 0).mean()
        assert row["mean_in"] == pytest.approx(inside.mean())
        assert row["mean_out"] == pytest.approx(outside.mean())


def test_the_marker_table_keeps_the_order_of_the_groups_and_says_nothing_of_unknown_samples(cells_of_three_groups):
    groups = np.array(["z", "a", "m"], dtype=object)
    markers = [np.array([0])] * 3
    stats, names = cells_of_three_groups[2], letters("abcdef")
    table = ranking.marker_table(
        markers, np.ones((3, 6)), stats, groups=groups, names=names, auc=np.ones((3, 6)), samples=None
    )
    assert table["group"].cat.categories.tolist() == ["z", "a", "m"]
    assert "samples" not in table
