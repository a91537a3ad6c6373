"""Per-class TreeSHAP of boosted trees, summed batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from smash_gpu.runtime.progress import track

BYTES_PER_BATCH = 64 * 2**20


def contributions(booster: Any, X: np.ndarray, n_groups: int) -> Iterator[np.ndarray]:
    """Exact Shapley values of the margins (Lundberg et al. 2020, path-dependent), in batches of cells.

    One batch is cells × groups × (genes + 1), the last column the expected margin, and takes at most
    `BYTES_PER_BATCH`: ``4 · cells · groups · (genes + 1)`` bytes.
    """
    from xgboost import DMatrix

    cells = max(1, BYTES_PER_BATCH // (4 * n_groups * (X.shape[1] + 1)))
    for start in track(range(0, len(X), cells), "TreeSHAP", unit="batch"):
        batch = booster.predict(DMatrix(X[start : start + cells]), pred_contribs=True, strict_shape=True)
        yield batch


def mean_abs(booster: Any, X: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean over cells of \\|φ\\|, the contribution of each gene to the margin of each group; groups × genes."""
    total = np.zeros((n_groups, X.shape[1]))
    for batch in contributions(booster, X, n_groups):
        total += np.abs(batch[:, :, :-1]).sum(axis=0, dtype=np.float64)
    return total / len(X)
