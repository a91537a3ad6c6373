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

PAIRS_AT_ONCE = 2**24  # panels × pairs
SEPARATIONS_FOR_ALL = 2**27  # pairs × genes
SEPARATIONS_PER_GENE = 2**20  # pairs × genes; of more pairs, those that the gene resolves most
POOL = 512
LEAST_SHARE = 0.1  # of a loss; with a gene that makes up for less, the panel is nearly as poor as with none
CLOSE = 16  # substitutes that are compared in double precision
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
        Number of the substitute, −1 if no allowed gene makes up for `LEAST_SHARE`.
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
    for part in _parts(design):
        left = _stacked([design.left_without(gene) for gene in design.panel[part]])
        loss[part] = to_host(left.sum(axis=1) - design.left.sum())
        gains[part] = design.objective.gains_of(left, pool)
    tier, by_name, rules = design.problem.found.tier, _by_name(design)[pool], Rules(design, pool)
    chosen = []
    for gene, row in zip(design.panel, gains, strict=True):
        allowed = rules.allow(gene) & ((tier[pool] <= tier[gene]) | (not same_tier))
        chosen.append(_first(np.where(allowed, row, -np.inf), by_name))
    gained = np.array([0.0 if at is None else row[at] for at, row in zip(chosen, gains, strict=True)])
    gene = np.array([-1 if at is None else pool[at] for at in chosen])
    return Exchanges(loss, gene, loss - gained)


def exchanges_by_variation(design: Design) -> Exchanges:
    """`exchanges` by the variation: F is V there, and a gene that adds nothing to it takes no place."""
    assert design.problem.variation is not None, "the variation counts"
    pool, by_name, panel = _pool(design), _by_name(design), design.panel
    rules = Rules(design, pool)
    losses, gains = without_each(design.problem.variation, design.whole)
    gene, gained = np.full(len(panel), -1), np.zeros(len(panel))
    for place, row in enumerate(gains[: len(panel), pool]):
        at = _first(np.where(rules.allow(panel[place]) & (row > 0), row, -np.inf), by_name[pool])
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
    rules, found = Rules(design, pool), []
    for part in _parts(design):
        lost = _stacked([design.left_without(gene) - design.left for gene in design.panel[part]])
        fit = np.zeros((len(lost), len(pool)))
        if len(pool) > POOL:
            fit = design.objective.gains_of(lost, pool)
        tasks = list(zip(design.panel[part], fit, lost, strict=True))

        def one(gene: int, row: np.ndarray, of_pairs: Any) -> tuple[int, float, float]:
            allowed = rules.allow(gene)
            best = np.argsort(-row[allowed], kind="stable")[:POOL]
            return _substitute(design, gene, of_pairs, pool[allowed][best], by_name)

        found += in_threads(one, tasks, "cuda" if on_gpu(design.depth) else "cpu")
    return Substitutes(*(np.array(column) for column in zip(*found, strict=True)))


def _substitute(
    design: Design, gene: int, lost: Any, tried: np.ndarray, by_name: np.ndarray
) -> tuple[int, float, float]:
    """Its number, the share that it makes up for, and the loss with it; the best in single precision are compared."""
    loss, most = float(lost.sum()), max(1, SEPARATIONS_PER_GENE // max(1, len(tried)))
    pairs = np.sort(largest(to_host(lost), most))
    of_pairs = take(lost, pairs), take(design.left, pairs)
    if len(tried) > CLOSE:
        tried = tried[np.sort(largest(_made_up(design, tried, pairs, of_pairs, np.float32), CLOSE))]
    share = _made_up(design, tried, pairs, of_pairs, np.float64) / max(loss, np.finfo(float).tiny)
    at = _first(np.where(share >= LEAST_SHARE, share, -np.inf), by_name[tried])
    if at is None:
        return -1, 0.0, loss
    left = lost + design.left
    with_it = float((left * namespace(left).exp(design.objective.separation(tried[at]) / -design.objective.tau)).sum())
    return int(tried[at]), float(share[at]), with_it - float(design.left.sum())


def _made_up(design: Design, genes: np.ndarray, pairs: np.ndarray, of_pairs: tuple, dtype: type) -> np.ndarray:
    """How much of the weight that some pairs lose each of ``genes`` makes up for; ``of_pairs`` are lost and left."""
    objective, xp = design.objective, namespace(design.depth)
    lost, left = (values.astype(dtype)[:, None] for values in of_pairs)
    narrow = replace(objective, profiles=objective.profiles.of(genes).astype(dtype))
    s = narrow.separations(pairs=xp.asarray(pairs))
    s /= dtype(-objective.tau)
    again = (lost + left) * (1 - xp.exp(s) if dtype is np.float32 else -xp.expm1(s))
    return to_host(xp.minimum(again, lost).sum(axis=0))


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


class Rules:
    """Which genes of a pool can replace a gene of the panel without breaking a cap or losing a requested marker."""

    def __init__(self, design: Design, pool: np.ndarray) -> None:
        self.problem, caps = design.problem, design.problem.caps
        self.room = caps.limit - caps.used(design.whole) + ROUNDING * caps.limit
        self.load, self.heaviest = caps.load[:, pool], caps.load[:, pool].max(axis=1, initial=0.0)
        self.held = self.problem.markers[:, design.whole].sum(axis=1)
        self.pool, self.needed = pool, np.minimum(self.problem.promised, self.held)

    def allow(self, gene: int) -> np.ndarray:
        """Mask of the pool."""
        room = self.room + self.problem.caps.load[:, gene]
        tight = np.flatnonzero(self.heaviest > room)
        fits = (self.load[tight] <= room[tight, None]).all(axis=0)
        short = np.flatnonzero(self.held - self.problem.markers[:, gene] < self.needed)
        return fits & self.problem.markers[np.ix_(short, self.pool)].all(axis=0)


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
