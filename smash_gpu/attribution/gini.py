"""A model's global importances, given to the groups in which the gene is high."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.arrays import namespace, to_host
from smash_gpu.stats import CELLS_PER_PRODUCT, mean_std, standardize


def gini(importance: np.ndarray, X: Any, group: np.ndarray, n_groups: int) -> np.ndarray:
    """``score(c, g) = importance_g · mean over the cells of c of z_g`` (smashpy's "local" Gini).

    Parameters
    ----------
    importance
        One number a gene: mean decrease in impurity, or gain; or one for every group and gene.
    X
        Expression ``e``, cells × genes; ``z`` standardises over these cells and is cut at +10.

    Returns
    -------
    Groups × genes; negative where a gene is low in the group.
    """
    return importance * mean_z(X, group, n_groups)


def mean_z(X: Any, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean of ``z`` per group; groups × genes, float64."""
    xp = namespace(X)
    mean, std = mean_std(X)
    total, label = xp.zeros((n_groups, X.shape[1])), xp.asarray(group)
    for start in range(0, len(X), CELLS_PER_PRODUCT):
        part = slice(start, start + CELLS_PER_PRODUCT)
        member = xp.eye(n_groups, dtype=X.dtype)[label[part]]
        total += member.T @ standardize(X[part], mean, std)
    return to_host(total) / np.maximum(np.bincount(group, minlength=n_groups), 1)[:, None]
