"""Assigns global importances of a model to the groups in which the gene is high."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.data.standardize import in_parts, mean_std, standardize


def weigh_by_expression(
    importance: np.ndarray, X: Any, group: np.ndarray, n_groups: int, *, cells: np.ndarray | None = None
) -> np.ndarray:
    """``score(c, g) = importance_g · mean over the cells of c of z_g`` (smashpy's "local" Gini).

    Parameters
    ----------
    importance
        One number per gene (mean decrease in impurity, or gain), or one per group and gene.
    X
        Expression ``e``, cells × genes; ``z`` standardises it over ``cells`` and is clipped at +10.
    cells
        Numbers of the cells to use; None: all.

    Returns
    -------
    Groups × genes; negative where a gene is low in the group.
    """
    return importance * mean_z(X, group, n_groups, cells)


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
