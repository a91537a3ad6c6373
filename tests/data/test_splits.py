"""Dividing cells: as scikit-learn where it can, with every group on both sides, and whole samples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from smash_gpu.data import splits

FEW = settings(max_examples=40)


@st.composite
def groups(draw, smallest=2, largest=30):
    sizes = draw(st.lists(st.integers(smallest, largest), min_size=2, max_size=6))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def quietly(group, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return splits.stratified(group, **options)


@pytest.mark.parametrize("test_fraction", [0.2, 0.3])
@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("sizes", [(50, 50), (100, 37, 10), (203, 19, 11, 7)])
def test_a_split_is_that_of_scikit_learn(rng, sizes, seed, test_fraction):
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = splits.stratified(group, test_fraction=test_fraction, random_state=seed)
    train, test = train_test_split(
        np.arange(len(group)), test_size=test_fraction, stratify=group, random_state=seed
    )  # fmt: skip
    np.testing.assert_array_equal(split.train, np.sort(train))
    np.testing.assert_array_equal(split.test, np.sort(test))


def test_a_fifth_is_held_out_unless_said_otherwise(rng):
    group = rng.integers(0, 3, 100)
    assert len(splits.stratified(group).test) == 20


@FEW
@given(groups(), st.integers(0, 100), st.sampled_from([0.2, 0.3, 0.5]))
def test_the_two_sides_are_disjoint_sorted_and_complete_and_hold_every_group(group, seed, test_fraction):
    split = quietly(group, test_fraction=test_fraction, random_state=seed)
    both = np.concatenate([split.train, split.test])
    assert sorted(both.tolist()) == list(range(len(group)))
    for side in (split.train, split.test):
        assert (np.diff(side) > 0).all()
        assert set(group[side].tolist()) == set(group.tolist())


@FEW
@given(groups(smallest=10), st.integers(0, 100))
def test_every_group_gives_its_share(group, seed):
    split = quietly(group, random_state=seed)
    for c in range(group.max() + 1):
        expected = len(split.test) / len(group) * np.count_nonzero(group == c)
        assert abs(np.count_nonzero(group[split.test] == c) - expected) < 1


@pytest.mark.parametrize("size", [2, 3])
def test_rare_groups_have_a_cell_on_both_sides_and_a_warning_says_which_were_helped(size):
    group = np.repeat(np.arange(7), [200, *[size] * 6])
    helped = 0
    for seed in range(5):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            split = splits.stratified(group, random_state=seed)
        assert set(group[split.train]) == set(group[split.test]) == set(range(7))
        _, test = train_test_split(np.arange(len(group)), test_size=0.2, stratify=group, random_state=seed)
        lacking = [c for c in range(7) if not 0 < np.count_nonzero(group[test] == c) < np.count_nonzero(group == c)]
        helped += len(lacking)
        sizes = ", ".join([str(size)] * len(lacking))
        said = [str(w.message) for w in caught if f"(of {sizes} cells)" in str(w.message)]
        assert bool(said) == bool(lacking)
    assert helped


def test_pairs_of_cells_are_divided_one_to_one():
    split = splits.stratified(np.repeat([0, 1, 2], 2))
    assert np.repeat([0, 1, 2], 2)[split.test].tolist() == [0, 1, 2]


def test_codes_without_cells_do_not_matter():
    group = np.tile([0, 3], 20)
    split = splits.stratified(group)
    np.testing.assert_array_equal(split.test, splits.stratified(group // 3).test)


def test_one_seed_one_split_and_another_seed_another():
    group = np.tile([0, 1], 50)
    first, same, other = (splits.stratified(group, random_state=seed).test for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert first.tolist() != other.tolist()


def test_repeated_splits_are_those_of_the_following_seeds():
    group = np.tile([0, 1], 50)
    found = list(splits.repeated(group, n_splits=3, test_fraction=0.3, random_state=7))
    assert len(found) == 3
    for seed, split in zip((7, 8, 9), found, strict=True):
        expected = splits.stratified(group, test_fraction=0.3, random_state=seed)
        np.testing.assert_array_equal(split.train, expected.train)
        np.testing.assert_array_equal(split.test, expected.test)


def test_folds_by_sample_keep_samples_whole_and_judge_every_cell_once(rng):
    sample = np.array([f"donor{i}" for i in rng.integers(0, 7, 300)], dtype=object)
    group = rng.integers(0, 3, 300)
    folds = list(splits.by_sample(group, sample, n_splits=3, random_state=0))
    assert len(folds) == 3
    for fold in folds:
        assert not set(sample[fold.train]) & set(sample[fold.test])
        assert len(fold.train) + len(fold.test) == 300
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.test) > 0).all()
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(300))


def test_folds_by_sample_follow_the_seed(rng):
    sample, group = rng.integers(0, 12, 300).astype(str).astype(object), rng.integers(0, 3, 300)

    def held_out(seed):
        return [fold.test.tolist() for fold in splits.by_sample(group, sample, n_splits=3, random_state=seed)]

    assert held_out(0) == held_out(0)
    assert held_out(0) != held_out(1)


def test_a_balanced_draw_takes_the_same_number_of_each_group_as_far_as_they_go(rng):
    group = rng.permutation(np.repeat([0, 1, 2], [500, 100, 5]))
    chosen = splits.draw(group, np.arange(605), 65, 0, balanced=True)
    assert np.bincount(group[chosen]).tolist() == [30, 30, 5]


def test_a_proportional_draw_keeps_the_shares_of_the_groups(rng):
    group = rng.permutation(np.repeat([0, 1, 2], [500, 100, 5]))
    sizes = np.bincount(group[splits.draw(group, np.arange(605), 121, 0, balanced=False)])
    np.testing.assert_allclose(sizes, [100, 20, 1], atol=1)


@FEW
@given(groups(smallest=1), st.integers(0, 80), st.integers(0, 100), st.booleans())
def test_a_draw_is_at_most_n_of_the_cells_sorted_and_keeps_every_group(group, more, seed, balanced):
    cells = np.random.default_rng(seed).permutation(len(group))[: max(len(group) - 3, 1)]
    n = len(set(group[cells].tolist())) + more
    chosen = splits.draw(group, cells, n, seed, balanced=balanced)
    assert len(chosen) == min(n, len(cells))
    assert (np.diff(chosen) > 0).all()
    assert set(chosen.tolist()) <= set(cells.tolist())
    assert set(group[chosen].tolist()) == set(group[cells].tolist())


@FEW
@given(groups(smallest=1, largest=60), st.integers(0, 80), st.integers(0, 100), st.integers(1, 20))
def test_every_group_of_a_draw_keeps_its_minimum_or_all_it_has_or_an_even_share(group, more, seed, at_least):
    cells = np.arange(len(group))
    n = len(np.unique(group)) + more
    chosen = splits.draw(group, cells, n, seed, balanced=False, at_least=at_least)
    assert len(chosen) == min(n, len(group))
    assert (np.diff(chosen) > 0).all()
    wanted = np.minimum(np.bincount(group), at_least)
    drawn = np.bincount(group[chosen], minlength=len(wanted))
    if wanted.sum() <= n:
        assert (drawn >= wanted).all()
    else:
        assert np.ptp(np.where(drawn < np.bincount(group), drawn, drawn.max())) <= 1


def test_a_class_of_three_in_fifty_thousand_is_whole_in_a_draw_and_the_others_keep_their_shares(rng):
    group = rng.permutation(np.repeat([0, 1, 2, 3], [40_000, 9_900, 97, 3]))
    sizes = np.bincount(group[splits.draw(group, np.arange(50_000), 5000, 0, balanced=False, at_least=50)])
    assert sizes[[2, 3]].tolist() == [50, 3]
    np.testing.assert_allclose(sizes[:2] / sizes[:2].sum(), np.array([40_000, 9_900]) / 49_900, rtol=1e-3)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_draw_follows_the_seed_and_not_the_order_of_other_draws(balanced):
    group = np.tile([0, 1], 100)
    first, same, other = (splits.draw(group, np.arange(200), 20, s, balanced=balanced).tolist() for s in (1, 1, 2))
    assert first == same != other


def test_a_draw_of_all_cells_is_all_cells():
    assert splits.draw(np.zeros(9, dtype=int), np.array([8, 2, 5]), 3, 0, balanced=True).tolist() == [2, 5, 8]


def test_the_global_random_state_is_not_touched(rng):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    group, sample = rng.integers(0, 3, 200), rng.integers(0, 5, 200).astype(str)
    splits.stratified(group)
    list(splits.repeated(group, n_splits=2, test_fraction=0.3, random_state=0))
    list(splits.by_sample(group, sample, n_splits=3, random_state=0))
    splits.draw(group, np.arange(200), 20, 0, balanced=True)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
