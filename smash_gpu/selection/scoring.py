"""Scores candidate genes with models: training cells, memory, and mean scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
from joblib import parallel_config

from smash_gpu import models
from smash_gpu.compute.device import device_room, enough_memory, release_memory
from smash_gpu.compute.pca import fits_cuml
from smash_gpu.compute.xp import namespace, on_gpu, place, take
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.shuffle import by_block, shuffled
from smash_gpu.data.splits import MIN_CELLS_PER_CLASS, Split, draw, stratified
from smash_gpu.data.stages import Stage
from smash_gpu.errors import warn
from smash_gpu.models.nearest_mean import NearestMean, held_out, not_held_out, right_by_group
from smash_gpu.models.on_cluster import boosted
from smash_gpu.runtime import memory
from smash_gpu.runtime.cluster import active_client, despite_losses, is_dask
from smash_gpu.runtime.spill import Scratch
from smash_gpu.selection import effects
from smash_gpu.selection.harmony import (
    Shift,
    harmonize,
    leading_components,
    leading_components_of_cells,
    parts,
    warn_if_mixed_up,
)
from smash_gpu.selection.memory_checks import need_memory_for_all, need_memory_for_components
from smash_gpu.selection.options import Importance
from smash_gpu.selection.scores import HELD_OUT, Scores, together

SHARE_FOR_EXPRESSION = 0.25  # of the memory that may be used; a larger expression matrix goes to a file
WAY_OUT = "Narrow the candidates, pass max_cells=, or use device='cpu'."


def importance(data: Dataset, candidates: np.ndarray, how: Importance, *, judged: bool = True) -> Scores:
    """Score every candidate gene for every group with one model or the mean of several; `together` for a consensus.

    ``judged``: False leaves out what no choice of genes depends on, the area under the ROC curve and the accuracy on
    held-out cells (NaN), unless the scores are kept for later runs.
    """
    judged |= data.work.folder is not None
    if how.objects and data.work.folder is not None:
        warn(
            f"scores are not kept in {data.work.folder} and are recomputed in every run, because "
            f"{', '.join(how.objects)} cannot be saved to a file. All other stages are kept."
        )
    if data.has_batches:
        warn_if_mixed_up(data)
    found = [_of_one(data, candidates, one, judged=judged) for one in how.each]
    return together(dict(zip(how.names, found, strict=True))) if how.is_consensus else found[0]


def _of_one(data: Dataset, candidates: np.ndarray, how: Importance, *, judged: bool) -> Scores:
    """Mean scores of one model with one or several seeds."""
    parts_with_seeds = _training_data(data, how)
    found = [one for part, seeds in parts_with_seeds for one in _fitted(part, candidates, how, seeds, judged=judged)]
    scores, overall = (np.array([one[name] for one in found]) for name in ("scores", "importance"))
    spread = scores.std(axis=0, ddof=1) if how.n_models > 1 else np.full(scores.shape[1:], np.nan)
    of_genes = {"mean": scores.mean(axis=0), "spread": spread, "importance": overall.mean(axis=0)}
    parts: dict[str, Any] = {name: np.array([one[name] for one in found]) for name in HELD_OUT}
    for name, part in (of_genes | {"auc": found[0]["auc"]}).items():
        parts[name] = _scatter(part, candidates)
    return Scores(**parts)


def _fitted(
    data: Dataset, candidates: np.ndarray, how: Importance, seeds: Sequence[int], *, judged: bool
) -> Iterator[Stage]:
    """Scores and accuracy of one model per seed; expression is only read if a result is not kept already."""
    genes = np.flatnonzero(candidates)
    order = shuffled(len(data.cells), len(genes))
    facts = models.facts_of(how.single, how.options)
    with ExitStack() as held:
        X = cache(lambda: held.enter_context(_corrected(data, genes, order, facts, how.random_state)))
        auc = cache(lambda: effects.sampled_auc(X(), data.labels[order]))

        def learn(seed: int) -> Mapping[str, Any]:
            model = models.build(how.single, random_state=seed, device=data.device, **how.options)
            if boosted.can_stay(data, model):
                split = stratified(data.labels[order], random_state=seed)
                learnt = boosted.boost(data, genes, order, model=model, split=split)
                return learnt | _learnt(data.labels[order], split) | {"auc": np.full(learnt["scores"].shape, np.nan)}
            client = active_client() if is_dask(data.matrix) else None
            how_to_fit: dict[str, Any] = {"reads_parts": facts.reads_parts, "client": client, "judged": judged}
            learnt = _fit(model, X(), data.labels[order], seed, **how_to_fit)
            return {**learnt, "auc": auc() if judged else np.full(learnt["scores"].shape, np.nan)}

        for seed in seeds:
            yield data.kept(
                f"scores of {how.single}, seed {seed}",
                how.key_of_model(seed, candidates=candidates, batch=data.batch),
                partial(learn, seed),
            )


def sample(data: Dataset, n_cells: int, random_state: int) -> Dataset:
    """A sample of ``n_cells`` in proportion to the groups, with at least `MIN_CELLS_PER_CLASS` (or all) of each.

    Raises
    ------
    ValueError
        If this is fewer than two cells per group.
    """
    if n_cells < 2 * data.n_groups:
        raise ValueError(
            f"max_cells={n_cells} is too low: two cells of each of the {data.n_groups} classes are needed, one for "
            "training and one held out."
        )
    cells = draw(data.group, data.cells, n_cells, random_state, balanced=False, at_least=MIN_CELLS_PER_CLASS)
    return data.only(cells)


def batch_shift(data: Dataset, index: np.ndarray, X: Any, order: np.ndarray, *, random_state: int) -> Shift:
    """The change of expression of the candidates from Harmony on their principal components.

    Parameters
    ----------
    X, order
        Expression of the genes ``index``, and the position of each row in ``data.cells``.

    Raises
    ------
    MemoryError
        If the components do not fit in host memory.
    """
    assert data.batch is not None, "only cells with a batch are corrected"
    if not on_gpu(X):
        need_memory_for_components(*X.shape)
    xp = namespace(X)
    mean, axes = _principal_axes(data, index, X)
    centre, onto = xp.asarray(mean, X.dtype), xp.asarray(axes, X.dtype)
    components = xp.concatenate([(X[part] - centre) @ onto for part in parts(len(X))])
    corrected = harmonize(components.astype(np.float64), data.batch[data.cells][order], random_state=random_state)
    return Shift(corrected - components, axes)


def _principal_axes(data: Dataset, index: np.ndarray, X: Any) -> tuple[Any, Any]:
    """Mean of each gene, and the principal axes, where ``X`` is; from one more pass unless cuML can take ``X``."""
    if on_gpu(X) and fits_cuml(*X.shape):
        return leading_components_of_cells(X)
    sums, where = data.moments(index), "cuda" if on_gpu(X) else "cpu"
    return place(sums.mean, where), place(leading_components(sums), where)


def _training_data(data: Dataset, how: Importance) -> Iterator[tuple[Dataset, Sequence[int]]]:
    """The training data and the seeds they are for: all cells for all seeds, or one sample per seed."""
    seeds = range(how.random_state, how.random_state + how.n_models)
    limit, there = models.cells_to_learn_from(how.single, how.max_cells), len(data.cells)
    if there <= limit:
        yield data, seeds
        return
    most = int(limit)
    first = sample(data, most, seeds[0])
    drawn, whole = (np.bincount(part.labels) for part in (first, data))
    warn(
        f"trained on {most:,} of {there:,} cells, drawn in proportion to the classes with at least "
        f"{min(MIN_CELLS_PER_CLASS, *drawn[drawn < whole])} of each, or all it has; max_cells= changes it."
    )
    yield first, seeds[:1]
    yield from ((sample(data, most, seed), [seed]) for seed in seeds[1:])


@contextmanager
def _corrected(
    data: Dataset, genes: np.ndarray, order: np.ndarray, facts: models.Facts, random_state: int
) -> Iterator[Any]:
    """`_expression`, corrected for batches if the data have any."""
    if data.has_batches and data.device == "cpu":
        need_memory_for_components(len(order), len(genes))  # before the data are read
    with _expression(data, genes, order, facts) as X:
        if data.has_batches:
            purpose = f"correcting the batches of {X.shape[0]:,} cells × {X.shape[1]:,} genes"
            with enough_memory(purpose, WAY_OUT, X.nbytes):
                shift = batch_shift(data, genes, X, order, random_state=random_state)
                shift.added_to(X, np.arange(len(X)))
        yield X


@contextmanager
def _expression(data: Dataset, genes: np.ndarray, order: np.ndarray, facts: models.Facts) -> Iterator[Any]:
    """Expression in the first place with enough space: device memory, host memory, or a file.

    Raises
    ------
    MemoryError
        If the model needs all of it in memory, and host memory is too small.
    OSError
        If the disk is too small.
    """
    shape = len(order), len(genes)
    n_bytes = 4 * shape[0] * shape[1]
    gather = partial(data.expression, genes, order=order)
    if not facts.reads_parts:
        if data.device == "cpu":
            need_memory_for_all(*shape, facts.bytes_per_value)
        yield gather()
    elif data.device == "cuda" and n_bytes <= SHARE_FOR_EXPRESSION * device_room():
        yield gather()
    elif n_bytes <= SHARE_FOR_EXPRESSION * memory.room():
        yield gather(into=np.empty(shape, np.float32))
    else:
        with Scratch(shape) as file:
            yield gather(into=file)


def _fit(
    model: models.Model, X: Any, group: np.ndarray, seed: int, *, reads_parts: bool, client: Any, judged: bool
) -> Stage:
    split = stratified(group, random_state=seed)
    if on_gpu(X) or not reads_parts:
        X = place(X, getattr(model, "device", "cpu"))
    purpose = f"training on {X.shape[0]:,} cells × {X.shape[1]:,} genes"
    release_memory()
    with enough_memory(purpose, WAY_OUT, X.nbytes):
        _on_workers(partial(model.fit, X, group, split), client)
        scores, overall = models.importances(model, X, group, split)
        accuracy = _accuracy(model, X, group, split) if judged else not_held_out(int(group.max()) + 1)
    return {"scores": scores, "importance": overall} | accuracy | _learnt(group, split)


def _accuracy(model: models.Model, X: Any, group: np.ndarray, split: Split) -> Stage:
    """`held_out` of the model and of the nearest class mean."""
    n_groups = int(group.max()) + 1
    simple = NearestMean.of(X, group, split.train, n_groups)
    right, nearest = np.zeros((2, n_groups), dtype=np.int64)
    for cells in by_block(split.test, X.shape):
        part, true = take(X, cells), group[cells]
        right += right_by_group(true, model.predict(part), n_groups)
        nearest += right_by_group(true, simple.predict(part), n_groups)
    return held_out(group[split.test], right, nearest)


def _learnt(group: np.ndarray, split: Split) -> Stage:
    return {"training_cells": np.bincount(group[split.train], minlength=int(group.max()) + 1)}


def _on_workers(fit: Callable[[], Any], client: Any) -> None:
    """``fit()``; with a client, the workers grow the trees of scikit-learn's forests, each from its own seed."""
    if client is None:
        fit()
        return
    with parallel_config(backend="dask"):
        despite_losses(fit, client, "trees were growing")


def _scatter(part: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    whole = np.full((*part.shape[:-1], len(candidates)), np.nan, dtype=np.float32)
    whole[..., candidates] = part
    return whole
