"""What a choice of genes has come to."""

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
