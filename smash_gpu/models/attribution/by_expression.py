"""Assigns global importances of a model to the groups in which the gene is high."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.data.separation import separation
from smash_gpu.data.standardize import in_parts, mean_std, standardize

HALF_RESOLVED = 2.0  # the separation from another group at which a gene has 1 − 1/e of what it can have there


@dataclass(frozen=True)
class GroupMoments:
    """Mean and variance (with n) of expression in every group, groups × genes, and the cells of every group."""

    mean: np.ndarray
    variance: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, X: Any, group: np.ndarray, n_groups: int, cells: np.ndarray | None = None) -> GroupMoments:
        """Of the numbered cells of dense expression, part by part; None: all."""
        xp = namespace(X)
        total, square = xp.zeros((2, n_groups, X.shape[1]))
        sizes = np.zeros(n_groups, dtype=np.int64)
        for part, rows in in_parts(X, cells):
            member, wide = xp.eye(n_groups)[xp.asarray(group[rows])].T, part.astype(np.float64)
            total += member @ wide
            square += member @ wide**2
            sizes += np.bincount(group[rows], minlength=n_groups)
        n = np.maximum(sizes, 1)[:, None]
        mean = to_host(total) / n
        return cls(mean, np.maximum(to_host(square) / n - mean**2, 0), sizes)

    def against_each(self) -> np.ndarray:
        """``Σ_b sign(m_c − m_b) (1 − exp(−s(c, b) / 2))`` over the other groups b; groups × genes.

        Every other group counts at most once, so that a gene which tells a group from all others is worth more than one
        which tells it from a few by far.
        """
        found = np.zeros_like(self.mean)
        for c, (mean, variance) in enumerate(zip(self.mean, self.variance, strict=True)):
            difference = mean - self.mean
            s = separation(difference, variance + self.variance)
            found[c] = (np.sign(difference) * -np.expm1(-s / HALF_RESOLVED)).sum(axis=0)
        return found


def mean_z(X: Any, group: np.ndarray, n_groups: int, cells: np.ndarray | None = None) -> np.ndarray:
    """Mean of ``z`` per group, part by part; groups × genes, float64."""
    xp = namespace(X)
    mean, std = mean_std(X, cells)
    total, sizes = xp.zeros((n_groups, X.shape[1])), np.zeros(n_groups)
    for part, rows in in_parts(X, cells):
        member = xp.eye(n_groups, dtype=X.dtype)[xp.asarray(group[rows])]
        total += member.T @ standardize(part, mean, std)
        sizes += np.bincount(group[rows], minlength=n_groups)
    return to_host(total) / np.maximum(sizes, 1)[:, None]


def _separation(X: Any, group: np.ndarray, n_groups: int, cells: np.ndarray | None = None) -> np.ndarray:
    return GroupMoments.of(X, group, n_groups, cells).against_each()


BY: dict[str, Callable[..., np.ndarray]] = {"separation": _separation, "z": mean_z}


def weigh_by_expression(
    importance: np.ndarray,
    X: Any,
    group: np.ndarray,
    n_groups: int,
    *,
    by: str = "z",
    cells: np.ndarray | None = None,
) -> np.ndarray:
    """``score(c, g) = importance_g · how far g is higher in c``; groups × genes, negative where a gene is low.

    Parameters
    ----------
    importance
        One number per gene (mean decrease in impurity, or gain), or one per group and gene.
    X
        Expression ``e``, cells × genes.
    by
        "separation": `GroupMoments.against_each`; "z": the mean of z over the cells of the group, z standardised over
        ``cells`` and cut at 10 (smashpy's "local" Gini).
    cells
        Numbers of the cells to use; None: all.
    """
    return importance * BY[by](X, group, n_groups, cells)
