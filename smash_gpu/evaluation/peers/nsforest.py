"""NS-Forest's metrics for the markers of each group (version 4.1): F-beta, binary score, on-target fraction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

BETA = 0.5
ROUNDING = 1e-7  # scikit-learn treats values that differ by less as equal


def medians(X: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Median expression; cells × genes in, groups × genes out."""
    return np.stack([np.median(X[group == c], axis=0) for c in range(n_groups)]).astype(np.float64)


def binary_scores(median: np.ndarray) -> np.ndarray:
    """``B(g, c) = Σ_{j≠c} max(0, 1 − m_gj / m_gc) / (groups − 1)``; 0 where the median of the group is 0.

    Parameters
    ----------
    median
        Groups × genes.
    """
    own = median[:, None, :]
    ratio = np.divide(median[None, :, :], own, out=np.ones((*median.shape[:1], *median.shape)), where=own > 0)
    return np.where(median > 0, np.maximum(0, 1 - ratio).sum(axis=1) / (len(median) - 1), 0.0)


def on_target(median: np.ndarray) -> np.ndarray:
    """Share of each group in the sum of a gene's medians, ``m_gc / Σ_j m_gj``; groups × genes, 0 if the sum is 0."""
    total = median.sum(axis=0)
    return np.divide(median, total, out=np.zeros_like(median), where=total > 0)


def stump(values: np.ndarray, positive: np.ndarray) -> float:
    """The threshold of a decision tree with one split: the largest drop in Gini impurity; the lowest of ties.

    Parameters
    ----------
    values
        Expression of one gene in every cell.
    positive
        Whether the cell belongs to the group.

    Returns
    -------
    Midpoint between two neighbouring values; NaN for a constant gene.
    """
    level, place = np.unique(values.astype(np.float32), return_inverse=True)
    below = np.cumsum(np.bincount(place))[:-1].astype(np.float64)
    hits = np.cumsum(np.bincount(place, weights=positive))[:-1]
    apart = np.diff(level) > ROUNDING
    if not apart.any():
        return np.nan
    n, n_hits = len(values), positive.sum()
    proxy = (hits**2 + (below - hits) ** 2) / below
    proxy += ((n_hits - hits) ** 2 + (n - below - n_hits + hits) ** 2) / (n - below)
    best = int(np.argmax(np.where(apart, proxy, -np.inf)))
    return float(level[best]) / 2 + float(level[best + 1]) / 2


def scores(
    X: np.ndarray, group: np.ndarray, groups: np.ndarray, markers: Mapping[int, np.ndarray], *, beta: float = BETA
) -> pd.DataFrame:
    """All metrics for the markers of each group; one row per group.

    A cell is predicted to belong to the group if it is above the threshold of every marker (`stump`).

    Parameters
    ----------
    X
        Expression of all genes that are markers of any group; cells × genes.
    markers
        Columns of ``X`` with the markers of each group code.
    beta
        Weight of recall against precision.

    Returns
    -------
    Columns ``group``, ``n_markers``, ``f_beta``, ``precision``, ``recall``, ``TN``, ``FP``, ``FN``, ``TP``,
    ``on_target`` and ``binary_score`` (medians over the markers). If a marker is constant (NS-Forest itself
    fails then), ``f_beta``, ``precision`` and ``recall`` are NaN and the counts −1.
    """
    median = medians(X, group, len(groups))
    share, binary = on_target(median), binary_scores(median)
    rows = []
    for code, columns in markers.items():
        found = _and_of_stumps(X[:, columns], group == code, beta)
        rows.append(
            {"group": groups[code], "n_markers": len(columns)} | found
            | {"on_target": np.median(share[code, columns]), "binary_score": np.median(binary[code, columns])}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _and_of_stumps(X: np.ndarray, positive: np.ndarray, beta: float) -> dict:
    thresholds = np.array([stump(column, positive) for column in X.T])
    if np.isnan(thresholds).any():
        return dict.fromkeys(("f_beta", "precision", "recall"), np.nan) | dict.fromkeys(("TN", "FP", "FN", "TP"), -1)
    predicted = (X.astype(np.float64) > thresholds).all(axis=1)
    tp, fp = int((predicted & positive).sum()), int((predicted & ~positive).sum())
    fn, tn = int(positive.sum()) - tp, int((~positive).sum()) - fp
    f_beta = (1 + beta**2) * tp / max((1 + beta**2) * tp + beta**2 * fn + fp, 1e-300)
    counts = {"TN": tn, "FP": fp, "FN": fn, "TP": tp}
    return {"f_beta": f_beta, "precision": tp / max(tp + fp, 1), "recall": tp / max(tp + fn, 1)} | counts
