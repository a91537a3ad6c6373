"""The covariance of the genes that count for the variation of a panel: one more pass over the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smash_gpu.compute.xp import place
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.stats import GroupStats, Moments
from smash_gpu.panel import adjust
from smash_gpu.panel.classes import Strata
from smash_gpu.panel.constraints import Candidates
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.request import MUST, OUT, WANTED, Request
from smash_gpu.panel.variation import Variation, variation_of

N_VARIABLE = 2000
N_SEPARATING = 500


@dataclass(frozen=True)
class Summed:
    """Data, and the sums over the cells of each stratum; ``offset`` is that of every batch, batches × genes."""

    data: Dataset
    strata: Strata
    sums: GroupStats
    offset: np.ndarray

    @property
    def without_batches(self) -> GroupStats:
        """The sums over each stratum if the offset of its batch is taken from expression."""
        return adjust.without(self.sums, self.strata, self.offset)


def measured(summed: Summed, request: Request, found: Candidates, objective: Objective) -> Variation | None:
    """The variation between cells, without that between batches; None if the request has no use for it.

    The targets are the `N_VARIABLE` genes with the largest variance of log-normalised expression, of those that may be
    chosen or are in. The pool holds them, the `N_SEPARATING` genes that separate most alone, and genes of priority; it
    does not depend on how many genes are chosen.
    """
    if not request.variation:
        return None
    names = summed.data.names
    targets = _most_variable(summed, found)
    first = np.isin(found.tier, (MUST, WANTED))
    first[found.existing] = True
    pool = np.unique(np.concatenate([targets, _most_separating(objective, found, names), np.flatnonzero(first)]))
    covariance = place(_covariance(summed, pool), summed.data.device)
    return variation_of(request.variation, request.variation_target, place_of(pool, len(names)), targets, covariance)


def place_of(genes: np.ndarray, n_genes: int) -> np.ndarray:
    """The place of every gene among ``genes``; −1 if it is not among them."""
    place = np.full(n_genes, -1)
    place[genes] = np.arange(len(genes))
    return place


def _usable(found: Candidates) -> np.ndarray:
    usable = found.tier < OUT
    usable[found.existing] = True
    return usable


def _most_variable(summed: Summed, found: Candidates) -> np.ndarray:
    variance = summed.without_batches.pooled.variance[0]
    return _largest(np.where(_usable(found), variance, 0.0), summed.data.names, N_VARIABLE)


def _most_separating(objective: Objective, found: Candidates, names: np.ndarray) -> np.ndarray:
    same_for_all_sizes = objective.with_tau(tau_for(Request.n_genes))
    gains = same_for_all_sizes.gains(same_for_all_sizes.depth(found.existing))
    return _largest(np.where(_usable(found), gains, 0.0), names, N_SEPARATING)


def _largest(values: np.ndarray, names: np.ndarray, n: int) -> np.ndarray:
    """Numbers of the genes with the largest values above 0, ascending; equal values by name."""
    order = np.lexsort((names.astype(str), -values))[:n]
    return np.sort(order[values[order] > 0])


def _covariance(summed: Summed, genes: np.ndarray) -> np.ndarray:
    """Covariance of expression without the offsets of batches over the cells of all strata, genes × genes."""
    data, strata = summed.data, summed.strata

    def compute() -> dict[str, np.ndarray]:
        return vars(data.moments(genes, code=strata.code).to_host())

    found = Moments(**data.kept("moments of a panel's genes", {"genes": genes, "code": strata.code}, compute))
    offset, n, total = _by_batch(summed, genes)
    if not offset.any():
        return found.covariance
    cross = total.T @ offset
    product = found.product - cross - cross.T + offset.T @ (n[:, None] * offset)
    return Moments(found.cells, found.total - n @ offset, product).covariance


def _by_batch(summed: Summed, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offset, number of cells, and sum of expression of every batch."""
    batch, offset = summed.strata.batch, summed.offset[:, genes]
    total = np.zeros_like(offset)
    np.add.at(total, batch, summed.sums.total[:, genes])
    return offset, np.bincount(batch, weights=summed.sums.cells, minlength=len(offset)), total
