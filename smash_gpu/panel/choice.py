"""The choice: exactly N genes, one by one, under all constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.panel.feasible import Reserve, Task, completion, shares
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.infeasible import check_caps, no_room
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.request import MUST, ORDINARY, OUT, SPARE, WANTED


@dataclass(frozen=True)
class Design:
    """A panel, in the order of choice.

    Attributes
    ----------
    panel
        Gene numbers.
    gain, value
        Of ``F``, by each gene and after it.
    bound, tau
        What no panel of so many genes can exceed, with the τ of the moment.
    objective
        With the τ of the last pick.
    depth
        ``D_ab`` of the whole panel, existing genes included.
    remaining
        Bound from above on the gain of every other gene.
    least_lacking
        How many of the promised markers any panel lacks at least.
    """

    panel: np.ndarray
    gain: np.ndarray
    value: np.ndarray
    bound: np.ndarray
    tau: np.ndarray
    objective: Objective
    depth: Any
    remaining: np.ndarray
    least_lacking: int
    problem: Problem

    @property
    def whole(self) -> np.ndarray:
        """The panel and the existing genes."""
        return np.concatenate([self.panel, self.problem.found.existing])


def design(asked: Problem) -> Design:
    """Choose exactly ``n_genes`` genes: those that must be in first, then by tier and gain.

    Where a cap was in the way, a second run takes gain per share of place and caps, as for a knapsack (Leskovec et al.
    2007), and the better panel of the two counts.

    Raises
    ------
    InfeasibleError
        If no panel of exactly so many genes meets the constraints.
    """
    found, must = asked.found, asked.must
    task = _task(asked, must)
    check_caps(asked.caps, task, must=must, existing=found.existing)
    possible = completion(task)
    if possible.panel is None:
        raise no_room(asked.caps, task)
    start = Gains(_first_objective(asked), asked.genes.names, found.existing)
    plain = Run(asked, start.copy(), Reserve(possible.panel, task))
    plain.finish()
    if not plain.capped:
        return plain.design(possible.least_lacking)
    price = 1 + task.n * task.weight
    priced = Run(asked, start.copy(), Reserve(possible.panel, task), 1 / price)
    priced.finish()
    return max(plain, priced, key=lambda run: run.final_value).design(possible.least_lacking)


class Run:
    """One greedy run."""

    def __init__(self, asked: Problem, gains: Gains, reserve: Reserve, thrift: np.ndarray | float = 1.0) -> None:
        self.asked, self.gains, self.reserve = asked, gains, reserve
        self.weight = asked.preference * thrift
        self.free = asked.found.tier < OUT
        self.capped = False
        self.steps: list[tuple[int, float, float, float, float]] = []

    def finish(self) -> None:
        """Choose all genes."""
        must = self.asked.found.tier == MUST
        while (gene := self.gains.best(self.free & must, self.weight)) is not None:
            self._take(gene)
        while len(self.steps) < self.asked.request.n_genes:
            gene = self._next()
            self.reserve.take(gene)
            self._take(gene)

    @property
    def final_value(self) -> float:
        """``F`` of the whole panel."""
        return self.steps[-1][2]

    def design(self, least_lacking: int) -> Design:
        """The panel; its last bound is made as tight as one look at the largest gains can."""
        panel, gain, value, bound, tau = (np.array(column) for column in zip(*self.steps, strict=True))
        n = len(panel)
        most = self.gains.largest(self._open(), n - len(self.asked.must)).sum()
        bound[-1] = min(bound[-1], value[-1] + most)
        gains = self.gains
        return Design(
            panel, gain, value, bound, tau, gains.objective, gains.depth, gains.upper, least_lacking, self.asked
        )

    def _next(self) -> int:
        may_fit = self.reserve.may_fit()
        self.capped |= bool((self.free & ~may_fit & (self.asked.found.tier != MUST)).any())
        for tier in (WANTED, ORDINARY, SPARE):
            allowed = self.free & may_fit & (self.asked.found.tier == tier)
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
            self.gains.soften(nested_tau(size))
        before = self.gains.objective.value(self.gains.depth)
        self.free[gene] = False
        self.gains.take(gene)
        value = self.gains.objective.value(self.gains.depth)
        more = self.gains.bound_on(self._open(), len(self.steps) + 1)
        objective = self.gains.objective
        self.steps.append((gene, value - before, value, min(value + more, objective.ceiling), objective.tau))

    def _open(self) -> np.ndarray:
        return self.free & (self.asked.found.tier < OUT)


def nested_tau(size: int) -> float:
    """τ of the gene that makes a nested panel this large: that of the next power of two, so that it changes seldom."""
    return tau_for(1 << (size - 1).bit_length())


def _first_objective(asked: Problem) -> Objective:
    request, size = asked.request, len(asked.found.existing) + 1
    if not request.nested or request.tau is not None:
        return asked.objective
    return asked.objective.with_tau(nested_tau(size))


def _task(asked: Problem, must: np.ndarray) -> Task:
    given = np.concatenate([must, asked.found.existing])
    tier = asked.found.tier.copy()
    tier[must] = OUT
    load, room = shares(asked.caps, given)
    missing = asked.promised - asked.markers[:, given].sum(axis=1)
    possible = asked.markers[:, tier < OUT].sum(axis=1)
    return Task(asked.request.n_genes - len(must), tier, load, room, asked.markers, np.minimum(missing, possible))
