"""What the panel loses without a gene, which gene does the same work, and which adds most in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, on_gpu, take, to_host
from smash_gpu.panel.feasible import ROUNDING
from smash_gpu.panel.greedy import TIED
from smash_gpu.panel.objective import cuts, in_threads
from smash_gpu.panel.request import MUST, OUT
from smash_gpu.panel.result import Design
from smash_gpu.panel.variation import without_each

PAIRS_AT_ONCE = 2**23  # panels × pairs
SEPARATIONS_FOR_ALL = 2**27  # pairs × genes
SEPARATIONS_PER_GENE = 2**20  # pairs × genes; of more pairs, those that the gene resolves most
POOL = 512
SEPARATIONS_FOR_EXCHANGE = 2**24
RISE = 5e-5  # of F; smaller gains are not worth the time of an exchange


@dataclass(frozen=True)
class Exchanges:
    """For every gene of a panel, the gene that adds most to the other genes of the panel.

    Attributes
    ----------
    loss
        ``F(S) − F(S without it)``.
    gene
        Number of the other gene, −1 if none is allowed.
    loss_with
        ``F(S) − F(S without it, with the other gene)``.
    """

    loss: np.ndarray
    gene: np.ndarray
    loss_with: np.ndarray


@dataclass(frozen=True)
class Substitutes:
    """For every gene of a panel, the gene that resolves most of what it resolves.

    Attributes
    ----------
    gene
        Number of the substitute, −1 if no allowed gene resolves any of it.
    share
        The share of the gene's loss that the substitute makes up for, pair by pair.
    loss_with
        ``F(S) − F(S without it, with the substitute)``.
    """

    gene: np.ndarray
    share: np.ndarray
    loss_with: np.ndarray


def exchanges(design: Design, *, same_tier: bool = False) -> Exchanges:
    """The next best gene for every place, in order of choice; ``same_tier`` excludes genes of lower priority.

    All genes are tried if pairs × genes is small enough, otherwise the `POOL` genes with the largest remaining gains.
    """
    pool = _pool(design)
    loss = np.zeros(len(design.panel))
    gains = np.zeros((len(design.panel), len(pool)))
    value = design.objective.value(design.depth)
    for part in _parts(design):
        without = [design.depth - design.objective.separation(gene) for gene in design.panel[part]]
        loss[part] = [value - design.objective.value(depth) for depth in without]
        left = _stacked([design.objective.unresolved(depth) for depth in without])
        gains[part] = design.objective.gains_of(left, pool)
    tier, by_name = design.problem.found.tier, _by_name(design)[pool]
    chosen = []
    for gene, row in zip(design.panel, gains, strict=True):
        allowed = _allowed(design, gene, pool) & ((tier[pool] <= tier[gene]) | (not same_tier))
        chosen.append(_first(np.where(allowed, row, -np.inf), by_name))
    gained = np.array([0.0 if at is None else row[at] for at, row in zip(chosen, gains, strict=True)])
    gene = np.array([-1 if at is None else pool[at] for at in chosen])
    return Exchanges(loss, gene, loss - gained)


def exchanges_by_variation(design: Design) -> Exchanges:
    """`exchanges` by the variation: F is V there, and a gene that adds nothing to it takes no place."""
    assert design.problem.variation is not None, "the variation counts"
    pool, by_name, panel = _pool(design), _by_name(design), design.panel
    losses, gains = without_each(design.problem.variation, design.whole)
    gene, gained = np.full(len(panel), -1), np.zeros(len(panel))
    for place, row in enumerate(gains[: len(panel), pool]):
        at = _first(np.where(_allowed(design, panel[place], pool) & (row > 0), row, -np.inf), by_name[pool])
        if at is not None:
            gene[place], gained[place] = pool[at], row[at]
    loss = losses[: len(panel)]
    return Exchanges(loss, gene, loss - gained)


def substitutes(design: Design) -> Substitutes:
    """The substitute of every gene, in order of choice.

    Without the gene each pair loses some weight; the gene that makes up for most of it, counting no pair for more than
    it lost, is the substitute. Of more than `POOL` genes, those are tried that resolve the lost weight best.
    """
    pool, by_name = _pool(design), _by_name(design)
    found = []
    for part in _parts(design):
        lost = _stacked([_lost(design, gene) for gene in design.panel[part]])
        fit = np.zeros((len(lost), len(pool)))
        if len(pool) > POOL:
            fit = design.objective.gains_of(lost, pool)
        tasks = list(zip(design.panel[part], fit, lost, strict=True))

        def one(gene: int, row: np.ndarray, of_pairs: Any) -> tuple[int, float, float]:
            allowed = _allowed(design, gene, pool)
            best = np.argsort(-row[allowed], kind="stable")[:POOL]
            return _substitute(design, gene, of_pairs, pool[allowed][best], by_name)

        found += in_threads(one, tasks, "cuda" if on_gpu(design.depth) else "cpu")
    return Substitutes(*(np.array(column) for column in zip(*found, strict=True)))


def _substitute(
    design: Design, gene: int, lost: Any, tried: np.ndarray, by_name: np.ndarray
) -> tuple[int, float, float]:
    """Its number, the share that it makes up for, and the loss with it."""
    objective, xp = design.objective, namespace(lost)
    without = design.depth - objective.separation(gene)
    loss, most = float(lost.sum()), max(1, SEPARATIONS_PER_GENE // max(1, len(tried)))
    pairs = np.sort(largest(to_host(lost), most))
    s = objective.separations(tried, xp.asarray(pairs))
    again = take(objective.unresolved(without), pairs)[:, None] * -xp.expm1(s / -objective.tau)
    share = to_host(xp.minimum(again, take(lost, pairs)[:, None]).sum(axis=0)) / max(loss, np.finfo(float).tiny)
    at = _first(np.where(share > 0, share, -np.inf), by_name[tried])
    if at is None:
        return -1, 0.0, loss
    value = objective.value(without + objective.separation(tried[at]))
    return int(tried[at]), float(share[at]), objective.value(design.depth) - value


def _lost(design: Design, gene: int) -> Any:
    """The weight of each pair that is resolved by this gene alone."""
    depth = design.depth - design.objective.separation(gene)
    return design.objective.unresolved(depth) - design.objective.unresolved(design.depth)


def exchanged(design: Design) -> np.ndarray:
    """The panel after swapping one gene at a time, best swap first, while F rises.

    Nothing is swapped if that would take long, or if the user gave weights or the variation counts, because F does not
    contain them.
    """
    tier = design.problem.found.tier
    size = len(design.objective.weight) * np.count_nonzero(tier < OUT)
    if size > SEPARATIONS_FOR_EXCHANGE or not design.problem.is_by_value:
        return design.panel
    for _ in range(2 * len(design.panel)):
        found = exchanges(design, same_tier=True)
        change = np.where((found.gene >= 0) & (tier[design.panel] != MUST), found.loss_with, np.inf)
        place = int(change.argmin())
        if change[place] > -RISE:
            break
        panel = design.panel.copy()
        panel[place] = found.gene[place]
        design = replace(design, panel=panel, depth=design.objective.depth([*panel, *design.problem.found.existing]))
    return design.panel


def _parts(design: Design) -> list[slice]:
    """The panel in parts whose genes × pairs are few enough for the memory."""
    return cuts(0, len(design.panel), max(1, PAIRS_AT_ONCE // len(design.objective.weight)))


def _by_name(design: Design) -> np.ndarray:
    """The place of every gene in the order of the names."""
    return np.argsort(np.argsort(design.problem.genes.names, kind="stable"))


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


def largest(values: np.ndarray, n: int) -> np.ndarray:
    """Positions of the ``n`` largest values, in descending order; ties by position."""
    at_least = np.partition(values, -n)[-n] if n < len(values) else -np.inf
    found = np.flatnonzero(values >= at_least)
    return found[np.argsort(-values[found], kind="stable")[:n]]


def _stacked(rows: list[Any]) -> Any:
    return namespace(rows[0]).stack(rows)
