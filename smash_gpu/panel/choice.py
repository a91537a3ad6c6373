"""The choice: exactly N genes, one by one, under all constraints."""

from __future__ import annotations

from typing import Self

import numpy as np

from smash_gpu.panel.feasible import Task, completion, shares
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.infeasible import check_caps, no_room
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.request import MUST, ORDINARY, OUT, SPARE, WANTED
from smash_gpu.panel.reserve import Reserve
from smash_gpu.panel.result import Design
from smash_gpu.panel.substitutes import exchanged

CAP_PRICES = (0.3, 1.0, 3.0)


def design(asked: Problem) -> Design:
    """Choose exactly ``n_genes`` genes: the required ones first, then by tier and gain.

    If a cap excluded a gene, further runs use the gain per share of places and caps, as for a knapsack (Leskovec et
    al. 2007). Genes of the best run are then swapped one at a time while F rises. The result is ordered by gain.

    Raises
    ------
    InfeasibleError
        If no panel of exactly ``n_genes`` genes meets the constraints.
    """
    found, must = asked.found, asked.must
    task = task_of(asked)
    check_caps(asked.caps, task, must=must, existing=found.existing)
    possible = completion(task)
    if possible.panel is None:
        raise no_room(asked.caps, task, len(must))
    start = Gains(_first_objective(asked), asked.genes.names, found.existing)

    def run(kept_back: np.ndarray, cap_price: float = 0.0, within: np.ndarray | None = None) -> Run:
        return Run(asked, start.copy(), Reserve(kept_back, task), cap_price, within).finished()

    plain = run(possible.panel)
    if not plain.capped:
        return plain.design(possible.least_lacking)
    runs = [plain, *(run(possible.panel, price) for price in CAP_PRICES)]
    kept = exchanged(max(runs, key=lambda r: r.final_value).design(possible.least_lacking))
    return run(np.setdiff1d(kept, must), within=kept).design(possible.least_lacking)


class Run:
    """One greedy run; ``cap_price`` is the price of a full cap in genes, ``within`` the genes that it may choose."""

    def __init__(
        self, asked: Problem, gains: Gains, reserve: Reserve, cap_price: float, within: np.ndarray | None
    ) -> None:
        self.asked, self.gains, self.reserve = asked, gains, reserve
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
        while len(self.steps) < self.asked.request.n_genes:
            gene = self._next()
            self.reserve.take(gene)
            self._take(gene)
        return self

    @property
    def final_value(self) -> float:
        """``F`` of the whole panel."""
        return self.steps[-1][2]

    def design(self, least_lacking: int) -> Design:
        """The panel; its last bound is tightened by computing the largest remaining gains exactly."""
        panel, gain, value, bound, tau = (np.array(column) for column in zip(*self.steps, strict=True))
        n = len(panel)
        most = self.gains.largest(self.free, n - len(self.asked.must)).sum()
        bound[-1] = min(bound[-1], value[-1] + most)
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
        before = self.gains.objective.value(self.gains.depth)
        self.free[gene] = False
        self.gains.take(gene)
        value = self.gains.objective.value(self.gains.depth)
        more = self.gains.bound_on(self.free, len(self.steps) + 1)
        objective = self.gains.objective
        self.steps.append((gene, value - before, value, min(value + more, objective.ceiling), objective.tau))


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
