"""Tunes the options of a model on cells that no trial has learned from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu import models
from smash_gpu.compute.device import enough_memory, release_memory
from smash_gpu.compute.xp import on_gpu, place, take
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.shuffle import by_block, shuffled
from smash_gpu.data.splits import Split, stratified
from smash_gpu.data.stages import FORMAT, digest
from smash_gpu.evaluation.metrics import confusion_of, metrics_of
from smash_gpu.models.search import Space, changed
from smash_gpu.runtime import versions
from smash_gpu.runtime.cluster import active_client, is_dask
from smash_gpu.selection import scoring, trials
from smash_gpu.selection.options import Importance
from smash_gpu.selection.trials import Budget, Kept

METRIC = "f1_macro"
STUDY = "smash-gpu"


@dataclass(frozen=True)
class Tuning:
    """What is tuned, and for how long; see `smash_gpu.tl.tune` for the parameters.

    ``how`` holds the model, the options that all trials have, the seed and the most cells.
    """

    how: Importance
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if self.how.is_consensus:
            raise ValueError(
                f"models are tuned one at a time: call tl.tune for each of {', '.join(self.how.names)}; "
                "tl.smash(model=[…], model_options='tuned') then uses the options of all."
            )
        if not isinstance(self.how.model, str):
            raise ValueError(
                f"a model object (here {type(self.how.model).__name__}) cannot be tuned, since every trial needs a new "
                "one. Give it a name: smash_gpu.models.MODELS['mine'] = smash_gpu.models.ModelInfo(create, facts, "
                "search={...}), and pass model='mine'."
            )
        if self.how.objects:
            raise ValueError(f"{', '.join(self.how.objects)}: only plain values can be options of all trials.")
        if not self.space:
            tunable = ", ".join(name for name, info in models.MODELS.items() if info.search)
            raise ValueError(
                f"model={self.how.model!r} has no option left to tune (its ModelInfo states them in search=, and "
                f"model_options fix some). Models with options to tune: {tunable}."
            )

    @property
    def space(self) -> Space:
        """The options to tune: those that the model states, without the given ones."""
        stated = models.MODELS[str(self.how.model)].search
        return {name: one for name, one in stated.items() if name not in self.how.options}

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the model for these values of the tuned ones."""
        return {**self.how.options, **changed(values, self.space)}


def tune(data: Dataset, candidates: np.ndarray, wanted: Tuning) -> pd.DataFrame:
    """The table of `trials.search`; ``value`` is the macro F1 on held-out cells.

    The expression of the candidates is read once, and only if a trial is missing.
    """
    part, _ = next(scoring._training_data(data, wanted.how))
    genes = np.flatnonzero(candidates)
    order = shuffled(len(part.cells), len(genes))
    group, facts = part.labels[order], models.facts_of(wanted.how.single, wanted.how.options)
    split, judged = inner_split(group, wanted.how.random_state)
    client = active_client() if is_dask(data.matrix) else None
    with ExitStack() as held:

        def read() -> Any:
            return held.enter_context(scoring._corrected(part, genes, order, facts, wanted.how.random_state))

        X = cache(lambda: _unchanged(part, read))

        def judge(values: Mapping[str, Any]) -> float:
            options = wanted.options(values)
            seed, device = wanted.how.random_state, part.device
            model = models.build(wanted.how.single, random_state=seed, device=device, **options)
            reads_parts = models.facts_of(wanted.how.single, options).reads_parts
            return f1_macro(model, X(), group, split, judged, reads_parts=reads_parts, client=client)

        kept = _kept(part, candidates, wanted)
        return trials.search(wanted.space, judge, wanted.budget, random_state=wanted.how.random_state, kept=kept)


def _unchanged(data: Dataset, read: Any) -> Any:
    """What ``read`` returns if no file of the data changed in the meantime."""
    found = []

    def compute() -> dict[str, Any]:
        found.append(read())
        return {}

    data.work.kept("expression for tuning", None, compute)
    return found[0]


def f1_macro(
    model: models.Model,
    X: Any,
    group: np.ndarray,
    split: Split,
    judged: np.ndarray,
    *,
    reads_parts: bool,
    client: Any = None,
) -> float:
    """Macro F1 of a model on the cells ``judged``, after training on ``split``."""
    if on_gpu(X) or not reads_parts:
        X = place(X, getattr(model, "device", "cpu"))
    n_groups = int(group.max()) + 1
    confusion = np.zeros((n_groups, n_groups), dtype=np.int64)
    release_memory()
    with enough_memory(f"training on {X.shape[0]:,} cells × {X.shape[1]:,} genes", scoring.WAY_OUT, X.nbytes):
        scoring._on_workers(lambda: model.fit(X, group, split), client)
        for cells in by_block(judged, X.shape):
            confusion += confusion_of(group[cells], np.asarray(model.predict(take(X, cells))), n_groups)
    return metrics_of(confusion)[METRIC]


def inner_split(group: np.ndarray, random_state: int) -> tuple[Split, np.ndarray]:
    """The cells that trials learn from and stop early by, and those that judge them.

    All are training cells of the split that a model with this seed has, so that its held-out cells stay unseen. 64 % of
    these train, 16 % stop, 20 % judge. A group with too few cells for that is trained on, and judges nothing.

    Raises
    ------
    ValueError
        If no group has enough cells.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        seen = stratified(group, random_state=random_state).train
        rest, judged = _divided(group, seen, random_state)
        train, stop = _divided(group, rest, random_state)
    if not len(judged) or not len(stop):
        raise ValueError(
            "no class has enough cells to tune on: at least four are needed, to train, to stop early, to judge the "
            "trials, and to stay unseen. Use coarser classes, or the default options."
        )
    return Split(train, stop), judged


def _divided(group: np.ndarray, cells: np.ndarray, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """80 % and 20 % of the cells of every group; a group of one cell is in the first part."""
    alone = np.bincount(group[cells])[group[cells]] < 2
    several = cells[~alone]
    if not len(several):
        return cells, several
    part = stratified(group[several], random_state=random_state)
    return np.sort(np.concatenate([several[part.train], cells[alone]])), several[part.test]


def _kept(data: Dataset, candidates: np.ndarray, wanted: Tuning) -> Kept:
    """Where the trials of these cells, candidates and options are kept."""
    folder, how = data.work.folder, wanted.how
    if folder is None:
        return Kept()
    import optuna

    depends = {
        "format": FORMAT, "data": folder.name, "versions": versions.installed() | {"optuna": optuna.__version__},
        "group": data.group, "target_sum": data.target_sum, "device": data.device, "space": repr(wanted.space),
    }  # fmt: skip
    key = how.key_of_model(how.random_state, candidates=candidates, batch=data.batch)
    assert key is not None, "a Tuning has plain options only"
    name = digest(depends | key)[:16]
    about = f"macro F1 of {how.model}, {data.work.data or 'data'}"
    return Kept(folder / f"trials-of-{how.model}-{name}.sqlite", STUDY, about)
