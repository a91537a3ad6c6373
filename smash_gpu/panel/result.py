"""The result of choosing a panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    def is_weighted(self) -> bool:
        """Whether the separations of the genes have weights."""
        return self.objective.profiles.weight is not None

    @property
    def whole(self) -> np.ndarray:
        """The panel and the existing genes."""
        return np.concatenate([self.panel, self.problem.found.existing])
