"""Candidate genes scored by models: which cells they learn from, and what they say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from smash_gpu import models
from smash_gpu.arrays import enough_memory, namespace, place, release_memory, take
from smash_gpu.batch import Shift, harmonize, leading_components
from smash_gpu.dataset import Dataset
from smash_gpu.recipe import Importance
from smash_gpu.splits import MIN_CELLS_PER_CLASS, draw, stratified
from smash_gpu.stats import moments
from smash_gpu.work import Stage

WAY_OUT = "Narrow the candidates, pass max_cells=, or use device='cpu'."


@dataclass(frozen=True)
class Scores:
    """Mean and spread over the models (groups × genes, float32, NaN for genes that are no candidates), and the
    accuracy of each model on its held-out cells, with all candidate genes.
    """

    mean: np.ndarray
    spread: np.ndarray
    accuracy: np.ndarray


def importance(data: Dataset, candidates: np.ndarray, how: Importance) -> Scores:
    """Score every candidate gene for every group with one model or the mean of several."""
    found = [one for part, seeds in _learnt_from(data, how) for one in _fitted(part, candidates, how, seeds)]
    scores, accuracy = (np.array([one[name] for one in found]) for name in ("scores", "accuracy"))
    spread = scores.std(axis=0, ddof=1) if how.n_models > 1 else np.full(scores.shape[1:], np.nan)
    return Scores(_scatter(scores.mean(axis=0), candidates), _scatter(spread, candidates), accuracy)


def _fitted(data: Dataset, candidates: np.ndarray, how: Importance, seeds: Sequence[int]) -> Iterator[Stage]:
    X = cache(lambda: _expression(data, np.flatnonzero(candidates), how))
    for seed in seeds:
        yield data.kept(
            f"scores of {how.model}, seed {seed}",
            how.of_one(seed, candidates=candidates, batch=data.batch),
            lambda seed=seed: dict(zip(("scores", "accuracy"), _fit(data, X(), how, seed), strict=True)),
        )


def _expression(data: Dataset, index: np.ndarray, how: Importance) -> Any:
    X = data.expression(index)
    if data.batch is not None and len(set(data.batch[data.cells])) > 1:
        purpose = f"correcting the batches of {X.shape[0]:,} cells × {X.shape[1]:,} genes"
        with enough_memory(purpose, WAY_OUT, X.nbytes):
            X = batch_shift(data, index, X, random_state=how.random_state).added_to(X, np.arange(len(X)))
    return X


def sample(data: Dataset, n_cells: int, random_state: int) -> Dataset:
    """``n_cells`` of the cells, in proportion to the groups, with `MIN_CELLS_PER_CLASS` of each or all it has.

    Raises
    ------
    ValueError
        If that is less than two cells a group.
    """
    if n_cells < 2 * data.n_groups:
        raise ValueError(
            f"max_cells={n_cells}: two cells of each of the {data.n_groups} groups are needed, one to learn from and "
            "one to hold out."
        )
    options = {"balanced": False, "at_least": MIN_CELLS_PER_CLASS}
    return data.only(draw(data.group, data.cells, n_cells, random_state, **options))


def batch_shift(data: Dataset, index: np.ndarray, X: Any, *, random_state: int) -> Shift:
    """Harmony on the principal components of the candidates, as a change of their expression."""
    sums = moments(data.matrix, data.group, index, target_sum=data.target_sum, device=data.device)
    axes = leading_components(sums)
    xp = namespace(X)
    components = (X - xp.asarray(sums.mean, X.dtype)) @ xp.asarray(axes, X.dtype)
    corrected = harmonize(components.astype(np.float64), data.batch[data.cells], random_state=random_state)
    return Shift(corrected - components, axes)


def _learnt_from(data: Dataset, how: Importance) -> Iterator[tuple[Dataset, Sequence[int]]]:
    """The cells that the models of these seeds learn from: all for all seeds, or a sample for each."""
    seeds = range(how.random_state, how.random_state + how.n_models)
    most, there = models.cells_to_learn_from(how.model, how.max_cells), len(data.cells)
    if there <= most:
        yield data, seeds
        return
    first = sample(data, most, seeds[0])
    drawn, whole = (np.bincount(part.labels) for part in (first, data))
    warnings.warn(
        f"trained on {most:,} of {there:,} cells, drawn in proportion to the groups with at least "
        f"{min(MIN_CELLS_PER_CLASS, *drawn[drawn < whole])} of each, or all it has; max_cells= changes it.",
        stacklevel=3,
    )
    yield first, seeds[:1]
    yield from ((sample(data, most, seed), [seed]) for seed in seeds[1:])


def _fit(data: Dataset, X: Any, how: Importance, seed: int) -> tuple[np.ndarray, float]:
    split = stratified(data.labels, random_state=seed)
    model = models.build(how.model, random_state=seed, device=data.device, **how.options)
    X = place(X, getattr(model, "device", "cpu"))
    purpose = f"training on {X.shape[0]:,} cells × {X.shape[1]:,} genes"
    release_memory()
    with enough_memory(purpose, WAY_OUT, X.nbytes):
        model.fit(X, data.labels, split)
        scores = np.asarray(model.importance(X, data.labels, split), dtype=np.float64)
        predicted = np.asarray(model.predict(take(X, split.test)))
    expected = (data.n_groups, X.shape[1])
    if scores.shape != expected:
        raise ValueError(f"the model's importance has shape {scores.shape}; groups × genes is {expected}.")
    return scores, float(np.mean(predicted == data.labels[split.test]))


def _scatter(part: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    whole = np.full((len(part), len(candidates)), np.nan, dtype=np.float32)
    whole[:, candidates] = part
    return whole
