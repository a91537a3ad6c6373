"""Greedy maximisation that looks again only at genes that can still win."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from smash_gpu.panel.objective import Objective

TIED = 1e-9  # gains this close are equal, on any machine; the name decides
GENES_AT_ONCE = 32


class Gains:
    """The gain of every gene on top of the panel so far: bounds from above, made exact where they matter.

    A gain can only fall while the panel grows (submodularity), so an old one is a bound from above and the greedy choice
    is exact although few genes are looked at again (Minoux 1978). The first look is in single precision, raised by
    more than its error: expression is below 20, so that of ``s`` is below ``10⁻³ s + 10⁻⁷``.

    Attributes
    ----------
    depth
        ``D_ab`` of the panel so far, one value a pair.
    upper
        Bound from above on the gain of every gene; the gain itself where ``exact``.
    """

    def __init__(self, objective: Objective, names: np.ndarray, preference: np.ndarray | None = None) -> None:
        self.objective = objective
        self.preference = np.ones(len(names)) if preference is None else preference
        self.order = np.empty(len(names), dtype=int)
        self.order[np.argsort(names, kind="stable")] = np.arange(len(names))
        self.depth = objective.depth()
        self.looks = 0
        self.look()

    def look(self) -> None:
        """Bound the gains of all genes anew."""
        slack = 1e-7 * float(self.objective.weight.sum()) / self.objective.tau
        self.upper = 1.001 * self.objective.gains(self.depth, dtype=np.float32) + slack
        self.exact = np.zeros(len(self.upper), dtype=bool)

    def soften(self, tau: float) -> None:
        """Go on with another τ, for which all gains are new."""
        self.objective = replace(self.objective, tau=tau)
        self.look()

    def take(self, gene: int) -> None:
        """Add a gene to the panel."""
        self.depth = self.depth + self.objective.separation(gene)
        self.exact[:] = False

    def best(self, allowed: np.ndarray, admits: Callable[[int], Any] = lambda _: True) -> int | None:
        """The allowed and admitted gene with the largest gain × preference, of equal ones the first by name."""
        score = np.where(allowed, self.upper * self.preference, -np.inf)
        while (top := score.max(initial=-np.inf)) > -np.inf:
            tied = np.flatnonzero(score >= top * (1 - TIED))
            if not self.exact[tied].all():
                looked_at = self._refresh(score)
                score[looked_at] = (self.upper * self.preference)[looked_at]
                continue
            gene = int(tied[np.argmin(self.order[tied])])
            if admits(gene):
                return gene
            score[gene] = -np.inf
        return None

    def largest(self, allowed: np.ndarray, n: int) -> np.ndarray:
        """The ``n`` largest gains of allowed genes, falling."""
        while True:
            score = np.where(allowed, self.upper, -np.inf)
            top = np.argsort(-score, kind="stable")[:n]
            top = top[allowed[top]]
            if self.exact[top].all():
                return score[top]
            self._refresh(np.where(np.isin(np.arange(len(score)), top), score, -np.inf))

    def _refresh(self, score: np.ndarray) -> np.ndarray:
        """Make the gains of some genes exact, those that may be the largest."""
        stale = np.flatnonzero(~self.exact & (score > -np.inf))
        genes = stale[np.argsort(-score[stale], kind="stable")[:GENES_AT_ONCE]]
        self.upper[genes] = self.objective.gains(self.depth, genes)
        self.looks += len(genes)
        self.exact[genes] = True
        return genes
