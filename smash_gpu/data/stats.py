"""Sums over cells from which the filters, the inverse PCA and the ranking are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.blocks.fold import fold
from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import CELLS_PER_PRODUCT, namespace


@dataclass(frozen=True)
class GroupStats(Additive):
    """Cells (groups), detections, and sums of the stored values, of ``e`` and of ``e²`` (groups × genes)."""

    cells: Any
    detected: Any
    counts: Any
    total: Any
    square: Any

    @property
    def fraction(self) -> np.ndarray:
        """Share of the cells of each group that express the gene (groups × genes); 0 for an empty group."""
        return self.detected / np.maximum(self.cells, 1)[:, None]

    @property
    def mean(self) -> np.ndarray:
        """Mean expression ``e`` (groups × genes); 0 for an empty group."""
        return self.total / np.maximum(self.cells, 1)[:, None]

    @property
    def variance(self) -> np.ndarray:
        """Variance of ``e`` over the cells of each group, with n (groups × genes); 0 for an empty group."""
        return np.maximum(self.square / np.maximum(self.cells, 1)[:, None] - self.mean**2, 0)

    @property
    def pooled(self) -> GroupStats:
        """All groups as one."""
        return GroupStats(*(array.sum(axis=0, keepdims=True) for array in self._sums()))

    @property
    def rest(self) -> GroupStats:
        """For every group, all the others as one."""
        return GroupStats(*(array.sum(axis=0, keepdims=True) - array for array in self._sums()))

    def of_genes(self, genes: np.ndarray) -> GroupStats:
        """The same of the numbered or marked genes."""
        cells, *sums = self._sums()
        return GroupStats(cells, *(array[:, genes] for array in sums))

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of ``e`` with n − 1, as in scanpy's ``scale`` (groups × genes); 0 below two cells."""
        n = np.maximum(self.cells, 1)[:, None]
        spread = np.maximum(self.square - self.total**2 / n, 0)
        return np.sqrt(spread / np.maximum(n - 1, 1))


@dataclass(frozen=True)
class _Detections(Additive):
    cells: Any
    detected: Any


@dataclass(frozen=True)
class Moments(Additive):
    """``n`` (1), ``Σ x`` (genes) and ``Σ x xᵀ`` (genes × genes)."""

    cells: Any
    total: Any
    product: Any

    @property
    def mean(self) -> Any:
        """Mean of every gene."""
        return self.total / self.cells

    @property
    def covariance(self) -> Any:
        """Population covariance (genes × genes)."""
        xp = namespace(self.product)
        covariance = self.product / self.cells
        covariance -= xp.outer(self.mean, self.mean)
        return covariance

    @property
    def correlation(self) -> Any:
        """Pearson correlation (genes × genes); 0 for a gene that does not vary, its own diagonal included."""
        xp = namespace(self.product)
        covariance = self.covariance
        variance = xp.diag(covariance)
        varies = variance > 1e-12 * xp.maximum(xp.diag(self.product) / self.cells, 1e-300)
        scale = xp.where(varies, 1 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)
        covariance *= scale
        covariance *= scale[:, None]
        return covariance


def group_stats(
    X: Any,
    group: np.ndarray,
    n_groups: int,
    *,
    target_sum: float | None = 1e4,
    device: str = "cpu",
    fold: Callable = fold,
) -> GroupStats:
    """Cells, detections and sums of expression per group and gene, in one pass.

    Parameters
    ----------
    X
        Cells × genes, any container that `fold.fold` reads.
    group
        The group of each cell, 0 to ``n_groups`` − 1; cells with a negative group are left out.
    target_sum
        Total that the counts of a cell are scaled to before log1p; None if ``X`` is log-normalised.
    fold
        What sums over the blocks: `fold.fold`, or `known.Known.fold`, which checks the values too.
    """

    def step(block: Any, group: np.ndarray) -> GroupStats:
        return GroupStats(*ops.group_stats(block, group, n_groups, target_sum))

    return fold(X, step, group, device=device).to_host()


def detections(
    X: Any, group: np.ndarray, n_groups: int, genes: np.ndarray, *, device: str = "cpu", fold: Callable = fold
) -> tuple[np.ndarray, np.ndarray]:
    """Cells of each group, and how many of them express each of the numbered ``genes`` (groups × ``len(genes)``).

    For thousands of groups: memory grows with groups × ``len(genes)``, not with all genes.
    """

    def step(block: Any, group: np.ndarray) -> _Detections:
        cut = block[:, namespace(block).asarray(genes)]
        cut.data = (cut.data > 0).astype(cut.dtype)  # as logarithms, counts from 128 on are out of range on a device
        return _Detections(*ops.group_stats(cut, group, n_groups, None)[:2])

    found = fold(X, step, group, device=device).to_host()
    return found.cells, found.detected


def moments(
    X: Any,
    group: np.ndarray,
    genes: np.ndarray,
    *,
    ceiling: np.ndarray | None = None,
    target_sum: float | None = 1e4,
    device: str = "cpu",
    fold: Callable = fold,
) -> Moments:
    """First and second moments of the expression of ``genes``, in float64, over cells whose group is not negative.

    Only `CELLS_PER_PRODUCT` cells at a time are dense float64.

    Parameters
    ----------
    genes
        Column numbers.
    ceiling
        One value per gene; larger expression is cut to it (``z`` cut at 10 is ``e`` cut at ``μ + 10 σ``).
    fold
        As in `group_stats`.
    """

    def step(block: Any, group: np.ndarray) -> Moments:
        dense = ops.gather_dense(ops.labelled(block, group), genes, target_sum, ceiling=ceiling)
        xp = namespace(dense)
        sums = Moments(xp.zeros(1), xp.zeros(len(genes)), xp.zeros((len(genes), len(genes))))
        for start in range(0, len(dense), CELLS_PER_PRODUCT):
            part = dense[start : start + CELLS_PER_PRODUCT]
            sums += Moments(xp.full(1, float(len(part))), *ops.moments(part))
        return sums

    return fold(X, step, group, device=device)
