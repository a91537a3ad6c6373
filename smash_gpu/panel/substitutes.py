"""What the panel loses without a gene, and the best replacement for that gene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace
from smash_gpu.panel.feasible import ROUNDING
from smash_gpu.panel.greedy import TIED
from smash_gpu.panel.request import MUST, OUT
from smash_gpu.panel.result import Design

PAIRS_AT_ONCE = 2**23  # panels × pairs
SEPARATIONS_FOR_ALL = 2**27  # pairs × genes
POOL = 512
SEPARATIONS_FOR_EXCHANGE = 2**24
RISE = 5e-5  # of F; smaller gains are not worth the time of an exchange


@dataclass(frozen=True)
class Substitutes:
    """Losses and substitutes for every gene of a panel.

    Attributes
    ----------
    loss
        ``F(S) − F(S without it)``.
    gene
        Gene number of its substitute, −1 if none is allowed.
    loss_with
        ``F(S) − F(S without it, with the substitute)``.
    """

    loss: np.ndarray
    gene: np.ndarray
    loss_with: np.ndarray


def substitutes(design: Design, *, same_tier: bool = False) -> Substitutes:
    """The best substitute of every gene, in order of choice; ``same_tier`` excludes substitutes of lower priority.

    All genes are tried if pairs × genes is small enough, otherwise the `POOL` genes with the largest remaining gains.
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
    tier, by_name = design.problem.found.tier, np.argsort(np.argsort(design.problem.genes.names, kind="stable"))[pool]
    chosen = []
    for gene, row in zip(design.panel, gains, strict=True):
        allowed = _allowed(design, gene, pool) & ((tier[pool] <= tier[gene]) | (not same_tier))
        chosen.append(_first(np.where(allowed, row, -np.inf), by_name))
    gained = np.array([0.0 if at is None else row[at] for at, row in zip(chosen, gains, strict=True)])
    gene = np.array([-1 if at is None else pool[at] for at in chosen])
    return Substitutes(loss, gene, loss - gained)


def exchanged(design: Design) -> np.ndarray:
    """The panel after swapping one gene at a time, best swap first, while F rises.

    Nothing is swapped if that would take long, or if the user gave weights, because F does not contain them.
    """
    tier = design.problem.found.tier
    size = len(design.objective.weight) * np.count_nonzero(tier < OUT)
    if size > SEPARATIONS_FOR_EXCHANGE or design.problem.request.weight_key is not None:
        return design.panel
    for _ in range(2 * len(design.panel)):
        found = substitutes(design, same_tier=True)
        change = np.where((found.gene >= 0) & (tier[design.panel] != MUST), found.loss_with, np.inf)
        place = int(change.argmin())
        if change[place] > -RISE:
            break
        panel = design.panel.copy()
        panel[place] = found.gene[place]
        design = replace(design, panel=panel, depth=design.objective.depth([*panel, *design.problem.found.existing]))
    return design.panel


def _pool(design: Design) -> np.ndarray:
    tier = design.problem.found.tier
    free = np.setdiff1d(np.flatnonzero(tier < OUT), design.panel)
    if len(design.objective.weight) * len(free) <= SEPARATIONS_FOR_ALL:
        return free
    return np.sort(free[np.argsort(-design.remaining[free], kind="stable")[:POOL]])


def _allowed(design: Design, gene: int, pool: np.ndarray) -> np.ndarray:
    """Mask of the pool: genes that can replace ``gene`` without breaking a cap or losing a requested marker."""
    problem = design.problem
    room = problem.caps.limit - problem.caps.used(design.whole) + problem.caps.load[:, gene]
    fits = (problem.caps.load[:, pool] <= (room + ROUNDING * problem.caps.limit)[:, None]).all(axis=0)
    held = problem.markers[:, design.whole].sum(axis=1)
    short = np.flatnonzero(held - problem.markers[:, gene] < np.minimum(problem.promised, held))
    return fits & problem.markers[np.ix_(short, pool)].all(axis=0)


def _first(gains: np.ndarray, by_name: np.ndarray) -> int | None:
    """The position of the largest gain (ties by name); None if all are −∞."""
    top = gains.max(initial=-np.inf)
    if top == -np.inf:
        return None
    tied = np.flatnonzero(gains >= top * (1 - TIED))
    return int(tied[np.argmin(by_name[tied])])


def _stacked(rows: list[Any]) -> Any:
    return namespace(rows[0]).stack(rows)
