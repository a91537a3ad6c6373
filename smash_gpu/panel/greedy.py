"""Greedy maximisation that recomputes gains only for genes that can still win."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import numpy as np

from smash_gpu.panel.objective import EXP_ERROR, Objective
from smash_gpu.panel.variation import Explained, Variation

TIED = 1e-9  # gains this close count as equal, so that the name decides, on every machine
FEWEST, MOST = 8, 64  # genes whose gains are estimated at once: few at first, twice as many each time
PER_CONFIRMED = 16  # estimated gains for one that is computed exactly
SEPARATIONS_TO_FOLLOW = 2**23  # pairs × genes; of more, the old gains are the bounds


def per_value(objective: Objective) -> float:
    """The factor that makes F the resolution: 1 / F(all); 0 if no gene separates anything."""
    everything = objective.value_of_all()
    return 1 / everything if everything > 0 else 0.0


class Gains:
    """The gain of F by every gene on top of the panel so far: upper bounds, made exact where they matter.

    A gain can only fall while the panel grows (submodularity), so an old gain is an upper bound, and the greedy choice
    is exact although few gains are recomputed (Minoux 1978). Gains are first computed in single precision and raised by
    more than their error: expression is below 20, so the error of ``s`` is below ``10⁻³ s + 10⁻⁷``. Gains of the
    variation can rise; they are cheap, and exact at every step.

    Attributes
    ----------
    panel, depth, left
        Genes of the panel so far, existing ones first, its ``D_ab``, and the weight that it leaves unresolved; one
        value per pair.
    upper
        Upper bound on the gain of every gene; the gain itself where ``exact``.
    explained
        The variation that the panel so far explains; None if the choice is by F alone.
    n_recomputed
        Number of gains computed after the first pass over all genes.
    """

    def __init__(
        self,
        objective: Objective,
        names: np.ndarray,
        panel: Sequence[int] | np.ndarray = (),
        variation: Variation | None = None,
    ) -> None:
        self.objective = objective
        self.by_name = np.empty(len(names), dtype=int)
        self.by_name[np.argsort(names, kind="stable")] = np.arange(len(names))
        self.panel = list(panel)
        self.depth = objective.depth(self.panel)
        self.left = objective.unresolved(self.depth)
        self.explained: Explained | None = None if variation is None else variation.explained(self.panel)
        self.upper: np.ndarray
        self.estimated: np.ndarray
        self.exact: np.ndarray
        self.n_recomputed = 0
        self._start()

    def set_tau(self, tau: float) -> None:
        """Continue with another τ; all gains are recomputed."""
        if tau != self.objective.tau:
            self.objective = self.objective.with_tau(tau)
            self.depth = self.objective.depth(self.panel)  # depends on τ where genes may fail
            self.left = self.objective.unresolved(self.depth)
            self._start()

    def copy(self) -> Self:
        """An independent copy of the state."""
        other = copy(self)
        other.upper, other.estimated, other.exact = self.upper.copy(), self.estimated.copy(), self.exact.copy()
        return other

    def take(self, gene: int) -> None:
        """Add a gene to the panel."""
        self.panel = [*self.panel, gene]
        self.depth = self.depth + self.objective.separation(gene)
        self.left = self.objective.unresolved(self.depth)
        self.explained = None if self.explained is None else self.explained.with_gene(gene)
        self._forget()

    def follow(self, other: Gains) -> None:
        """Go on from the depth and τ of another choice, which holds no fewer genes than the last that was followed."""
        self.depth, self.left = other.depth, other.left
        if self.objective.tau != other.objective.tau:
            self.objective = self.objective.with_tau(other.objective.tau)
            self._start()
        self._forget()
        if len(self.objective.weight) * len(self.upper) <= SEPARATIONS_TO_FOLLOW:
            self.upper = np.minimum(self.upper, self._estimate(slice(None)))

    def best(
        self, allowed: np.ndarray, weight: np.ndarray | float = 1.0, admits: Callable[[int], Any] = lambda _: True
    ) -> int | None:
        """The allowed and admitted gene with the largest gain of F or J × weight; ties go to the first name."""
        score = np.where(allowed, self._of_merit() * weight, -np.inf)
        at_once = FEWEST
        while (top := score.max(initial=-np.inf)) > -np.inf:
            tied = np.flatnonzero(score >= top * (1 - TIED))
            if not self.exact[tied].all():
                genes = self._refresh(score, at_once)
                at_once = min(2 * at_once, MOST)
                score[genes] = (self._of_merit() * weight)[genes]
                continue
            gene = int(tied[np.argmin(self.by_name[tied])])
            if admits(gene):
                return gene
            score[gene] = -np.inf
        return None

    def merit(self, value: float) -> float:
        """What the choice maximises: F, or J if the variation counts."""
        if self.explained is None:
            return value
        return self.explained.of.merit(value * self.per_value, self.explained.share)

    def _of_merit(self) -> np.ndarray:
        """Upper bounds on what every gene adds to `merit`."""
        if self.explained is None:
            return self.upper
        return self.explained.of.merit(self.upper * self.per_value, self.explained.gains)

    def largest(self, allowed: np.ndarray, n: int) -> np.ndarray:
        """The ``n`` largest gains of allowed genes, in descending order."""
        score = np.where(allowed, self.upper, -np.inf)
        while True:
            top = np.argsort(-score, kind="stable")[: min(n, int(np.count_nonzero(allowed)))]
            if self.exact[top].all():
                return score[top]
            genes = self._refresh(np.where(np.isin(np.arange(len(score)), top), score, -np.inf), n)
            score[genes] = self.upper[genes]

    def bound_on(self, allowed: np.ndarray, n: int) -> float:
        """An upper bound on what ``n`` more allowed genes can gain together, from the last computed gains."""
        gains = self.upper[allowed]
        return float(np.sort(np.partition(gains, -n)[-n:])[::-1].sum()) if 0 < n < len(gains) else float(gains.sum())

    def _start(self) -> None:
        self.upper = self._estimate(slice(None))
        self.estimated, self.exact = (np.zeros(len(self.upper), dtype=bool) for _ in range(2))
        self._forget()
        self.per_value = 1.0 if self.explained is None else per_value(self.objective)

    def _forget(self) -> None:
        """Gains are no longer known, unless there are no pairs: then all are 0."""
        self.estimated[:] = self.exact[:] = not len(self.objective.weight)

    def _estimate(self, genes: Any) -> np.ndarray:
        slack = (1e-7 / self.objective.tau + EXP_ERROR) * float(self.left.sum())
        return 1.001 * self.objective.gains_of(self.left[None], genes, dtype=np.float32)[0] + slack

    def _refresh(self, score: np.ndarray, at_once: int) -> np.ndarray:
        """Recompute gains that may be the largest, first in single precision; returns the gene numbers."""
        open_genes = np.flatnonzero(~self.exact & (score > -np.inf))
        best_first = open_genes[np.argsort(-score[open_genes], kind="stable")]
        if not self.estimated[best_first[0]]:
            genes = best_first[~self.estimated[best_first]][:at_once]
            self.upper[genes] = np.minimum(self.upper[genes], self._estimate(genes))
            self.estimated[genes] = True
        else:
            genes = best_first[self.estimated[best_first]][: max(1, at_once // PER_CONFIRMED)]
            self.upper[genes] = self.objective.gains_of(self.left[None], genes)[0]
            self.exact[genes] = True
        self.n_recomputed += len(genes)
        return genes
