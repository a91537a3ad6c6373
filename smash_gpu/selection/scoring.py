"""Candidate genes scored by models: which cells they learn from, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from smash_gpu import models
from smash_gpu.compute.device import device_room, enough_memory, release_memory
from smash_gpu.compute.xp import namespace, on_gpu, place, take
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.shuffle import by_block, shuffled
from smash_gpu.data.splits import MIN_CELLS_PER_CLASS, draw, stratified
from smash_gpu.data.stages import Stage
from smash_gpu.errors import warn
from smash_gpu.models.on_cluster import boosted, forests
from smash_gpu.runtime import memory
from smash_gpu.runtime.spill import Scratch
from smash_gpu.selection.harmony import N_COMPONENTS, Shift, harmonize, leading_components, parts
from smash_gpu.selection.options import Importance

SHARE_FOR_EXPRESSION = 0.25  # of the room, for the expression of the candidates; more goes into a file
BYTES_PER_COMPONENT = 42  # a cell: measured, Harmony with its copies and clusters, in float64
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
    if how.objects and data.work.folder is not None:
        warn(
            f"scores are not kept in {data.work.folder}, and made anew every time: {', '.join(how.objects)} cannot be "
            "put into a file. All other stages are kept."
        )
    found = [one for part, seeds in _learnt_from(data, how) for one in _fitted(part, candidates, how, seeds)]
    scores, accuracy = (np.array([one[name] for one in found]) for name in ("scores", "accuracy"))
    spread = scores.std(axis=0, ddof=1) if how.n_models > 1 else np.full(scores.shape[1:], np.nan)
    return Scores(_scatter(scores.mean(axis=0), candidates), _scatter(spread, candidates), accuracy)


def _fitted(data: Dataset, candidates: np.ndarray, how: Importance, seeds: Sequence[int]) -> Iterator[Stage]:
    """Scores and accuracy of one model a seed; the expression is gathered when the first of them is not kept yet."""
    genes = np.flatnonzero(candidates)
    order = shuffled(len(data.cells), len(genes))
    facts = models.facts_of(how.model, how.options)
    with ExitStack() as held:
        X = cache(lambda: held.enter_context(_corrected(data, genes, order, facts, how.random_state)))

        def learn(seed: int) -> Stage:
            model = models.build(how.model, random_state=seed, device=data.device, **how.options)
            if boosted.can_stay(data, model):
                split = stratified(data.labels[order], random_state=seed)
                found = boosted.boost(data, genes, order, model=model, split=split)
                return dict(zip(("scores", "accuracy"), found, strict=True))
            with forests.grown_where(data.matrix):
                return _fit(model, X(), data.labels[order], seed, reads_parts=facts.reads_parts)

        for seed in seeds:
            yield data.kept(
                f"scores of {how.model}, seed {seed}",
                how.of_one(seed, candidates=candidates, batch=data.batch),
                partial(learn, seed),
            )


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


def batch_shift(data: Dataset, index: np.ndarray, X: Any, order: np.ndarray, *, random_state: int) -> Shift:
    """Harmony on the principal components of the candidates, as a change of their expression.

    Parameters
    ----------
    X, order
        Expression of the genes ``index``, and which of ``data.cells`` each row is.

    Raises
    ------
    MemoryError
        If the host has no room for the components.
    """
    if not on_gpu(X):
        _need_memory_for_components(*X.shape)
    sums = data.moments(index)
    xp, where = namespace(X), "cuda" if on_gpu(X) else "cpu"
    mean, axes = (place(values, where) for values in (sums.mean, leading_components(sums)))
    centre, onto = xp.asarray(mean, X.dtype), xp.asarray(axes, X.dtype)
    components = xp.concatenate([(X[part] - centre) @ onto for part in parts(len(X))])
    corrected = harmonize(components.astype(np.float64), data.batch[data.cells][order], random_state=random_state)
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
    warn(
        f"trained on {most:,} of {there:,} cells, drawn in proportion to the groups with at least "
        f"{min(MIN_CELLS_PER_CLASS, *drawn[drawn < whole])} of each, or all it has; max_cells= changes it."
    )
    yield first, seeds[:1]
    yield from ((sample(data, most, seed), [seed]) for seed in seeds[1:])


def _need_memory_for_components(n_cells: int, n_genes: int) -> None:
    needed, room = BYTES_PER_COMPONENT * n_cells * min(n_genes, N_COMPONENTS), _room_for_all()
    if needed > room:
        raise MemoryError(
            f"Harmony holds {min(n_genes, N_COMPONENTS)} components of all cells in memory: for {n_cells:,} cells "
            f"{needed / 1e9:,.2f} GB, and {room / 1e9:,.2f} GB may be taken. Pass a smaller max_cells=, leave "
            "batch_key out, or pass memory= to allow more."
        )


def _need_memory_for_all(n_cells: int, n_genes: int, bytes_per_value: float) -> None:
    needed, room = bytes_per_value * n_cells * n_genes, _room_for_all()
    if needed > room:
        from_a_file = " or ".join(repr(name) for name in models.MODELS if models.facts_of(name).reads_parts)
        raise MemoryError(
            f"this model needs all its cells in memory: {n_cells:,} cells × {n_genes:,} genes take "
            f"{needed / 1e9:,.2f} GB, and {room / 1e9:,.2f} GB may be taken. Pass a smaller max_cells=, narrow the "
            f"candidates, use model={from_a_file}, which read them from a file, or memory= to allow more."
        )


def _room_for_all() -> int:
    """Bytes for what cannot lie in a file: all that is free, where the user sets no limit."""
    return memory.room() if memory.is_limited() else memory.available()


@contextmanager
def _corrected(
    data: Dataset, genes: np.ndarray, order: np.ndarray, facts: models.Facts, random_state: int
) -> Iterator[Any]:
    """`_expression`, with batches corrected if they are known."""
    if data.has_batches and data.device == "cpu":
        _need_memory_for_components(len(order), len(genes))  # before a pass is made
    with _expression(data, genes, order, facts) as X:
        if data.has_batches:
            purpose = f"correcting the batches of {X.shape[0]:,} cells × {X.shape[1]:,} genes"
            with enough_memory(purpose, WAY_OUT, X.nbytes):
                shift = batch_shift(data, genes, X, order, random_state=random_state)
                shift.added_to(X, np.arange(len(X)))
        yield X


@contextmanager
def _expression(data: Dataset, genes: np.ndarray, order: np.ndarray, facts: models.Facts) -> Iterator[Any]:
    """Expression in the memory of the device, else of the host, else in a file: the first with room for it.

    Raises
    ------
    MemoryError
        If the model needs all of it in memory, and the host has no room.
    OSError
        If the disk has none.
    """
    shape = len(order), len(genes)
    n_bytes = 4 * shape[0] * shape[1]
    gather = partial(data.expression, genes, order=order)
    if not facts.reads_parts:
        if data.device == "cpu":
            _need_memory_for_all(*shape, facts.bytes_per_value)
        yield gather()
    elif data.device == "cuda" and n_bytes <= SHARE_FOR_EXPRESSION * device_room():
        yield gather()
    elif n_bytes <= SHARE_FOR_EXPRESSION * memory.room():
        yield gather(into=np.empty(shape, np.float32))
    else:
        with Scratch(shape) as file:
            yield gather(into=file)


def _fit(model: models.Model, X: Any, group: np.ndarray, seed: int, *, reads_parts: bool) -> Stage:
    split = stratified(group, random_state=seed)
    if on_gpu(X) or not reads_parts:
        X = place(X, getattr(model, "device", "cpu"))
    purpose = f"training on {X.shape[0]:,} cells × {X.shape[1]:,} genes"
    release_memory()
    with enough_memory(purpose, WAY_OUT, X.nbytes):
        model.fit(X, group, split)
        scores = np.asarray(model.importance(X, group, split), dtype=np.float64)
        right = [np.asarray(model.predict(take(X, cells))) == group[cells] for cells in by_block(split.test, X.shape)]
    expected = (int(group.max()) + 1, X.shape[1])
    if scores.shape != expected:
        raise ValueError(f"the model's importance has shape {scores.shape}; groups × genes is {expected}.")
    return {"scores": scores, "accuracy": np.mean(np.concatenate(right))}


def _scatter(part: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    whole = np.full((len(part), len(candidates)), np.nan, dtype=np.float32)
    whole[:, candidates] = part
    return whole
