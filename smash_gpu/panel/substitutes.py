"""What the panel loses without a gene, and the gene that loses least in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.arrays import namespace
from smash_gpu.panel.choice import Design
from smash_gpu.panel.feasible import ROUNDING
from smash_gpu.panel.request import OUT

PAIRS_AT_ONCE = 2**23  # panels × pairs
SEPARATIONS_FOR_ALL = 2**27  # pairs × genes
POOL = 512


@dataclass(frozen=True)
class Substitutes:
    """For every gene of a panel.

    Attributes
    ----------
    loss
        ``F(S) − F(S without it)``.
    gene
        Its substitute, −1 if none is allowed.
    loss_with
        ``F(S) − F(S without it, with the substitute)``.
    """

    loss: np.ndarray
    gene: np.ndarray
    loss_with: np.ndarray


def substitutes(design: Design) -> Substitutes:
    """The best substitute of every gene in the order of choice.

    All genes are looked at where pairs × genes allow, else the `POOL` with the largest remaining gains.
    """
    pool = _pool(design)
    loss = np.zeros(len(design.panel))
    gains = np.zeros((len(design.panel), len(pool)))
    size = max(1, PAIRS_AT_ONCE // len(design.objective.weight))
    value = design.objective.value(design.depth)
    for start in range(0, len(design.panel), size):
        without = [design.depth - design.objective.separation(gene) for gene in design.panel[start : start + size]]
        loss[start : start + size] = [value - design.objective.value(depth) for depth in without]
        left = _stacked([design.objective.unresolved(depth) for depth in without])
        gains[start : start + size] = design.objective.gains_of(left, pool)
    chosen = [_first_allowed(design, place, pool, row) for place, row in enumerate(gains)]
    gained = np.array([0.0 if at is None else row[at] for at, row in zip(chosen, gains, strict=True)])
    gene = np.array([-1 if at is None else pool[at] for at in chosen])
    return Substitutes(loss, gene, loss - gained)


def _pool(design: Design) -> np.ndarray:
    tier = design.problem.found.tier
    free = np.setdiff1d(np.flatnonzero(tier < OUT), design.panel)
    if len(design.objective.weight) * len(free) <= SEPARATIONS_FOR_ALL:
        return free
    return np.sort(free[np.argsort(-design.remaining[free], kind="stable")[:POOL]])


def _first_allowed(design: Design, place: int, pool: np.ndarray, gains: np.ndarray) -> int | None:
    """The position in ``pool`` of the largest gain that breaks no cap and no promise; equal ones by name."""
    problem, gene = design.problem, design.panel[place]
    caps = problem.caps
    room = caps.limit - caps.used(design.whole) + caps.load[:, gene]
    fits = (caps.load[:, pool] <= (room + ROUNDING * caps.limit)[:, None]).all(axis=0)
    held = problem.markers[:, design.whole].sum(axis=1)
    due = np.minimum(problem.promised, held)
    left = held - problem.markers[:, gene]
    keeps = (left[:, None] + problem.markers[:, pool] >= due[:, None]).all(axis=0)
    allowed = np.flatnonzero(fits & keeps)
    if not len(allowed):
        return None
    order = np.lexsort((problem.genes.names[pool[allowed]].astype(str), -gains[allowed]))
    return int(allowed[order[0]])


def _stacked(rows: list[Any]) -> Any:
    return namespace(rows[0]).stack(rows)
