"""The result of choosing a panel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from smash_gpu.panel.greedy import per_value
from smash_gpu.panel.objective import Objective
from smash_gpu.panel.problem import Problem


@dataclass(frozen=True)
class Design:
    """A panel, in the order of choice.

    Attributes
    ----------
    panel
        Gene numbers.
    gain, value
        Increase of ``F`` by each gene, and ``F`` after it.
    bound, tau
        Upper bound on ``F`` of any panel with this number of genes, and the τ used at this step.
    objective
        The objective with the τ of the last step.
    depth
        ``D_ab`` of the whole panel, existing genes included.
    remaining
        Upper bound on the gain of every other gene.
    least_lacking
        Lower bound on the number of requested markers that any panel misses.
    proven
        Bound on ``F`` of all panels of this size that keep the constraints, if the problem was small enough; else ∞.
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
    proven: float = np.inf

    @property
    def is_weighted(self) -> bool:
        """Whether the separations of the genes have weights."""
        return self.objective.profiles.weight is not None

    @property
    def merit(self) -> float:
        """``F`` of the whole panel, or ``J`` if the variation counts."""
        variation = self.problem.variation
        if variation is None:
            return float(self.value[-1])
        return variation.merit(self.value[-1] * per_value(self.most), variation.explained(self.whole).share)

    @property
    def whole(self) -> np.ndarray:
        """The panel and the existing genes."""
        return np.concatenate([self.panel, self.problem.found.existing])

    @cached_property
    def left(self) -> Any:
        """The unresolved weight of every pair."""
        return self.objective.unresolved(self.depth)

    def left_without(self, gene: int) -> Any:
        """The unresolved weight of every pair without one of the genes."""
        return self.objective.unresolved(self.depth - self.objective.separation(gene))

    @property
    def probe_sets(self) -> np.ndarray | None:
        """Number of probe sets of every gene of the panel; None if it was not a decision."""
        sets = self.problem.probe_sets
        return None if sets is None else sets.number[self.panel]

    def of(self, panel: np.ndarray, number: np.ndarray | None = None) -> Design:
        """Other genes (and numbers of probe sets), as many; only ``panel``, depth, the last value and the problem fit.

        `choice.design` orders the genes and computes the rest.
        """
        problem, sets = self.problem, self.problem.probe_sets
        if sets is not None and number is not None:
            problem = sets.at(number)
        objective = problem.objective.with_tau(self.objective.tau)
        depth = objective.depth([*panel, *problem.found.existing])
        value = np.append(self.value[:-1], objective.value(depth))
        return replace(self, panel=panel, depth=depth, value=value, objective=objective, problem=problem)

    @property
    def most(self) -> Objective:
        """The objective with as many probe sets as possible for every gene."""
        return self.problem.with_most_probe_sets.objective.with_tau(self.objective.tau)
