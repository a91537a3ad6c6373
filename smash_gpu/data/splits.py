"""Dividing cells into a part to train on and a part to test on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smash_gpu.errors import warn

TEST_FRACTION = 0.2
MIN_CELLS_PER_CLASS = 200  # in a sample of cells to learn from
MIN_SAMPLE_FRACTION = 0.70  # of the samples with cells of a group: there its markers are detected (paper, Methods)


@dataclass(frozen=True)
class Split:
    """Numbers of the training cells and of the held-out cells; disjoint, sorted."""

    train: np.ndarray
    test: np.ndarray


def stratified(group: np.ndarray, *, test_fraction: float = TEST_FRACTION, random_state: int = 0) -> Split:
    """Hold out a share of every group, as scikit-learn's ``train_test_split(stratify=)``; both sides have every group.

    If a group is so small that scikit-learn leaves one side without it, one of its cells is moved and a warning given.

    Parameters
    ----------
    group
        Group of each cell; every group has at least two cells.
    """
    sizes = np.bincount(group)
    n_groups = int(np.count_nonzero(sizes))
    n_test = min(max(int(np.ceil(test_fraction * len(group))), n_groups), len(group) - n_groups)
    is_test = _drawn(group, sizes, n_test, np.random.RandomState(random_state))  # noqa: NPY002 - of scikit-learn
    held_out = np.bincount(group[is_test], minlength=len(sizes))
    absent = np.flatnonzero((sizes > 0) & ((held_out == 0) | (held_out == sizes)))
    for c in absent:
        first = np.flatnonzero(group == c)[0]
        is_test[first] = ~is_test[first]
    if len(absent):
        warn(
            f"small classes (of {', '.join(map(str, sizes[absent]))} cells) had no cell in the training "
            "or the held-out part; one cell of each was moved there."
        )
    return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def _drawn(group: np.ndarray, sizes: np.ndarray, n_test: int, rng: np.random.RandomState) -> np.ndarray:
    """Mask of the cells that scikit-learn's ``train_test_split(stratify=group)`` holds out with this generator.

    The same random numbers in the same order. For a million cells scikit-learn takes most of its time for lists of
    Python numbers, and for its import.
    """
    there = np.flatnonzero(sizes)
    n_train = _shares(sizes[there], len(group) - n_test, rng)
    n_held_out = _shares(sizes[there] - n_train, n_test, rng)
    narrow = group.astype(np.min_scalar_type(len(sizes)))  # which NumPy sorts by radix up to 16 bits
    of_group = np.split(np.argsort(narrow, kind="stable"), np.cumsum(sizes[there])[:-1])
    is_test = np.zeros(len(group), dtype=bool)
    for cells, first, n in zip(of_group, n_train, n_held_out, strict=True):
        is_test[cells[rng.permutation(len(cells))[first : first + n]]] = True
    return is_test


def _shares(sizes: np.ndarray, n: int, rng: np.random.RandomState) -> np.ndarray:
    """``n`` divided in proportion to ``sizes``: the largest remainders are rounded up, at random among equal ones."""
    exact = sizes / sizes.sum() * n
    whole = np.floor(exact)
    remainder = exact - whole
    for size in np.unique(remainder)[::-1]:
        missing = int(n - whole.sum())
        if missing <= 0:
            break
        equal = np.flatnonzero(remainder == size)
        whole[rng.choice(equal, size=min(missing, len(equal)), replace=False)] += 1
    return whole.astype(int)


def repeated(group: np.ndarray, *, n_splits: int, test_fraction: float, random_state: int) -> Iterator[Split]:
    """Independent stratified splits, one per seed ``random_state``, ``random_state + 1``, …"""
    for seed in range(random_state, random_state + n_splits):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield stratified(group, test_fraction=test_fraction, random_state=seed)


def by_sample(
    group: np.ndarray, sample: np.ndarray, *, n_splits: int, random_state: int, n_seeds: int = 1
) -> Iterator[Split]:
    """Folds that hold out whole samples, groups as even as the samples allow.

    Parameters
    ----------
    n_splits
        Folds; no more than there are samples.
    n_seeds
        How many times the folds are made, each with the next seed; once if each fold is one sample.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    n_samples = len(np.unique(sample))
    seeds = range(random_state, random_state + (n_seeds if n_splits < n_samples else 1))
    for seed in seeds:
        folds = StratifiedGroupKFold(n_splits=min(n_splits, n_samples), shuffle=True, random_state=seed)
        with warnings.catch_warnings():  # of groups with fewer cells than folds; `evaluation.judged` says what matters
            warnings.simplefilter("ignore", UserWarning)
            parts = list(folds.split(group, group, sample))
        yield from (Split(train, test) for train, test in parts)


def draw(
    group: np.ndarray, cells: np.ndarray, n: int, random_state: int, *, balanced: bool, at_least: int = 1
) -> np.ndarray:
    """Choose at most ``n`` of ``cells``: the same number of each group, or in proportion to the groups. Sorted.

    Parameters
    ----------
    at_least
        Cells that every group keeps, or all it has; if ``n`` does not allow that, the same number of each group as far
        as possible.
    """
    if len(cells) <= n:
        return np.sort(cells)
    rng = np.random.default_rng(random_state)
    shuffled = rng.permutation(cells)
    order = np.argsort(group[shuffled], kind="stable")
    shuffled, codes = shuffled[order], group[shuffled][order]
    first_of_group = np.searchsorted(codes, codes)
    turn = np.arange(len(codes)) - first_of_group
    size = np.searchsorted(codes, codes, side="right") - first_of_group
    when = turn if balanced else np.where(turn < at_least, turn - at_least, turn / size)
    return np.sort(shuffled[np.argsort(when, kind="stable")[:n]])
