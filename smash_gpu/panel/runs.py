"""Greedy runs: exactly N genes, one by one, under all constraints."""

from __future__ import annotations

from typing import Self

import numpy as np

from smash_gpu.panel.feasible import ROUNDING, Task, completion, shares
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.infeasible import check_caps, no_room
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.request import MUST, ORDINARY, OUT, SPARE, WANTED
from smash_gpu.panel.reserve import Reserve
from smash_gpu.panel.result import Design
from smash_gpu.runtime.progress import track

FULLEST = 8  # caps that the bound looks at


class Attempts:
    """Greedy runs for one problem, each of which can be completed; see `Run` for their options.

    Raises
    ------
    InfeasibleError
        If no panel of exactly ``n_genes`` genes meets the constraints.
    """

    def __init__(self, asked: Problem) -> None:
        self.asked, self.task = asked, task_of(asked)
        check_caps(asked.caps, self.task, must=asked.must, existing=asked.found.existing)
        found = completion(self.task)
        if found.panel is None:
            raise no_room(asked.caps, self.task, len(asked.must))
        self.kept_back, self.least_lacking = found.panel, found.least_lacking
        self.start = Gains(_first_objective(asked), asked.genes.names, asked.found.existing, asked.variation)

    def run(self, cap_price: float = 0.0, within: np.ndarray | None = None) -> Run:
        """A greedy run; ``within`` are the genes, as many as are asked for, that it orders."""
        kept = self.kept_back if within is None else np.setdiff1d(within, self.asked.must)
        gains = self.start.copy()
        bounds = Bounds(self.asked, gains, None if within is None else self._with_most_probe_sets())
        return Run(self.asked, gains, Reserve(kept, self.task), cap_price, within, bounds=bounds).finished()

    def _with_most_probe_sets(self) -> Gains | None:
        """The gains of genes with as many probe sets as possible, if this problem gives them fewer."""
        sets = self.asked.probe_sets
        if sets is None or (sets.number == sets.high).all():
            return None
        most = sets.most.objective.with_tau(self.start.objective.tau)
        return Gains(most, self.asked.genes.names, self.asked.found.existing)

    def design(self, run: Run) -> Design:
        """The panel of a run."""
        return run.design(self.least_lacking)


class Run:
    """One greedy run; ``cap_price`` is the price of a full cap in genes, ``within`` the genes that it may choose."""

    def __init__(
        self,
        asked: Problem,
        gains: Gains,
        reserve: Reserve,
        cap_price: float,
        within: np.ndarray | None,
        *,
        bounds: Bounds,
    ) -> None:
        self.asked, self.gains, self.reserve, self.bounds = asked, gains, reserve, bounds
        self.weight = asked.preference / (1 + cap_price * reserve.task.n * reserve.task.weight)
        self.free = asked.found.tier < OUT
        self.within = np.ones_like(self.free) if within is None else np.isin(np.arange(len(self.free)), within)
        self.capped = False
        self.steps: list[tuple[int, float, float, float, float]] = []

    def finished(self) -> Self:
        """Choose all genes."""
        must = self.asked.found.tier == MUST
        while (gene := self.gains.best(self.free & must, self.weight)) is not None:
            self._take(gene)
        for _ in track(range(len(self.steps), self.asked.request.n_genes), "choosing genes", unit="gene"):
            gene = self._next()
            self.reserve.take(gene)
            self._take(gene)
        return self

    @property
    def merit(self) -> float:
        """``F`` of the whole panel, or ``J`` if the variation counts."""
        return self.gains.merit(self.steps[-1][2])

    def design(self, least_lacking: int) -> Design:
        """The panel; its last bound is tightened by computing the largest remaining gains exactly."""
        panel, gain, value, bound, tau = (np.array(column) for column in zip(*self.steps, strict=True))
        bound[-1] = min(bound[-1], value[-1] + self.bounds.exact(self.free, panel))
        gains = self.gains
        return Design(
            panel, gain, value, bound, tau, gains.objective, gains.depth, gains.upper, least_lacking, self.asked
        )

    def _next(self) -> int:
        may_fit = self.reserve.may_fit()
        self.capped |= bool((self.free & ~may_fit & (self.asked.found.tier != MUST)).any())
        for tier in (WANTED, ORDINARY, SPARE):
            allowed = self.free & self.within & may_fit & (self.asked.found.tier == tier)
            gene = self.gains.best(allowed, self.weight, self._admits)
            if gene is not None:
                return gene
        raise AssertionError("the reserve is never empty before the panel is full")

    def _admits(self, gene: int) -> bool:
        admitted = self.reserve.admits(gene)
        self.capped |= not admitted and bool(len(self.asked.caps.limit))
        return admitted

    def _take(self, gene: int) -> None:
        request, size = self.asked.request, len(self.steps) + 1 + len(self.asked.found.existing)
        if request.nested and request.tau is None:
            self.gains.set_tau(nested_tau(size))
        objective = self.gains.objective
        same = bool(self.steps) and self.steps[-1][4] == objective.tau
        before = self.steps[-1][2] if same else objective.value(self.gains.depth)
        self.free[gene] = False
        self.gains.take(gene)
        value = objective.value(self.gains.depth)
        more = self.bounds.more(self.free, len(self.steps) + 1)
        self.steps.append((gene, value - before, value, min(value + more, objective.ceiling), objective.tau))


class Bounds:
    """Upper bounds on what any panel gains on top of the genes so far (submodularity; Nemhauser et al. 1978).

    With fewer probe sets than possible, ``most`` are the gains of genes with all of them: another panel may hold more
    sets of a gene that is chosen already, which gain at most as much as the gene would.
    """

    def __init__(self, asked: Problem, gains: Gains, most: Gains | None) -> None:
        self.asked, self.gains, self.most = asked, gains, most
        self.usable, self.n_must = asked.found.tier < OUT, len(asked.must)

    def more(self, free: np.ndarray, n: int) -> float:
        """A bound on what ``n`` genes can gain together, from the last computed gains."""
        if self.most is None:
            return self.gains.bound_on(free, n)
        self.most.follow(self.gains)
        return self.most.bound_on(self.usable, n)

    def exact(self, free: np.ndarray, panel: np.ndarray) -> float:
        """The bound for a panel of the same size as ``panel``, from gains that are computed now."""
        if self.most is None:
            n = len(panel) - self.n_must
            return self._within_caps(free, panel, n, float(self.gains.largest(free, n).sum()))
        self.most.follow(self.gains)
        now, all_sets, depth = self.gains.objective, self.most.objective, self.gains.depth
        deeper = (depth + all_sets.separation(gene) - now.separation(gene) for gene in panel)
        more = [now.value(other) - now.value(depth) for other in deeper]
        gains = np.concatenate([more, self.most.largest(free, len(panel))])
        return float(np.sort(gains)[::-1][: len(panel)].sum())

    def _within_caps(self, free: np.ndarray, panel: np.ndarray, n: int, bound: float) -> float:
        """``bound``, or a smaller one, since the ``n`` genes have to fit into each of the caps."""
        caps, upper = self.asked.caps, self.gains.upper[free]
        there = np.array([*self.asked.must, *self.asked.found.existing], dtype=int)
        room, share = (1 + ROUNDING) * caps.limit - caps.used(there), caps.used(panel) / caps.unit
        for row in np.argsort(-share, kind="stable")[:FULLEST]:
            if room[row] > 0:
                bound = min(bound, most_in_room(upper, caps.load[row, free], room[row], n))
        return bound


def most_in_room(gains: np.ndarray, load: np.ndarray, room: float, n: int) -> float:
    """An upper bound on what ``n`` genes gain together whose loads add up to ``room`` at most.

    For every price λ of a unit of load no such set gains more than ``λ room`` and the ``n`` largest ``gain − λ load``
    (Lagrange); the smallest of these bounds is taken. It is that of the relaxation in which genes may be split.
    """
    from scipy.optimize import minimize_scalar

    def bound(price: float) -> float:
        left = np.maximum(gains - price * load, 0.0)
        return price * room + float((np.partition(left, -n)[-n:] if 0 < n < len(left) else left).sum())

    plain = bound(0.0)
    found = minimize_scalar(bound, bounds=(0.0, plain / room), method="bounded")  # a higher price costs more than all
    return min(plain, float(found.fun))


def nested_tau(size: int) -> float:
    """τ for gene number ``size`` of a nested panel: that of the next power of two, so that τ changes rarely."""
    return tau_for(1 << (size - 1).bit_length())


def _first_objective(asked: Problem) -> Objective:
    request, size = asked.request, len(asked.found.existing) + 1
    if not request.nested or request.tau is not None:
        return asked.objective
    return asked.objective.with_tau(nested_tau(size))


def task_of(asked: Problem) -> Task:
    """What is still to be chosen beside the genes that must be in and the existing ones."""
    must = asked.must
    given = np.concatenate([must, asked.found.existing])
    tier = asked.found.tier.copy()
    tier[must] = OUT
    load, room = shares(asked.caps, given)
    missing = asked.promised - asked.markers[:, given].sum(axis=1)
    possible = asked.markers[:, tier < OUT].sum(axis=1)
    return Task(asked.request.n_genes - len(must), tier, load, room, asked.markers, np.minimum(missing, possible))
