"""Spapros' marker_corr and gene_corr (version 0.1.6), computed only for the genes concerned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smash_gpu.compute.xp import to_host
from smash_gpu.data.dataset import Dataset

THRESHOLD = 0.8
TOLERANCE = 0.05
MIN_MEAN = 0.025
SAME_CORRELATION = 1e-4


def linear_step(x: np.ndarray, threshold: float = THRESHOLD, tolerance: float = TOLERANCE) -> np.ndarray:
    """0 below ``threshold − tolerance``, 1 above ``threshold + tolerance``, linear between."""
    return np.clip((x - (threshold - tolerance)) / (2 * tolerance), 0.0, 1.0)


def correlation(data: Dataset, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlation of the numbered genes over the cells (genes × genes), and their mean expression.

    NaN for a constant gene. Reads block by block; the full genes × genes matrix is never made.
    """
    sums = data.moments(genes)
    found = np.array(to_host(sums.correlation))
    constant = np.diag(found) == 0
    found[constant] = found[:, constant] = np.nan
    return found, to_host(sums.mean)


def gene_corr(correlation: np.ndarray) -> dict[str, float]:
    """How little redundancy there is among the genes of a panel.

    Parameters
    ----------
    correlation
        Correlation of the genes of the panel; genes × genes.

    Returns
    -------
    "gene_corr 1 - mean": one minus the mean |r| over pairs; "gene_corr perct max < 0.8": share of genes whose largest
    |r| with another gene is below 0.8, on a linear scale from 0.85 (0) to 0.75 (1). NaN pairs are left out.
    """
    size = np.abs(correlation)
    pairs = size[np.tril_indices(len(size), -1)]
    others = np.where(np.isnan(size) | np.eye(len(size), dtype=bool), 0.0, size)
    mean = 1 - np.mean(pairs[~np.isnan(pairs)]) if (~np.isnan(pairs)).any() else np.nan
    return {
        "gene_corr 1 - mean": float(mean),
        f"gene_corr perct max < {THRESHOLD}": float(np.mean(1 - linear_step(others.max(axis=0)))),
    }


def marker_corr(correlation: np.ndarray, mean: np.ndarray, markers: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How well a panel represents known markers: the largest r of each marker with any gene of the panel.

    Parameters
    ----------
    correlation
        Markers × panel.
    mean
        Mean expression of each marker.
    markers
        Rows of ``correlation`` by group; a gene in several groups counts for the first.

    Returns
    -------
    "marker_corr per marker": mean over markers; "per celltype": mean over the best marker of each group
    (and markers within 1e-4 of it); "per marker mean > 0.025": mean over markers with a mean expression above 0.025.
    NaN is left out.
    """
    best = np.where(np.isnan(correlation), -np.inf, correlation).max(axis=1)
    best = np.where(np.isfinite(best), best, np.nan)
    group = np.full(len(best), -1)
    for number, rows in reversed(list(enumerate(markers.values()))):
        group[rows] = number
    leads = np.zeros(len(best), dtype=bool)
    for number in np.unique(group[group >= 0]):
        inside = (group == number) & ~np.isnan(best)
        leads |= inside & (best >= best[inside].max(initial=-np.inf) - SAME_CORRELATION)
    return {
        "marker_corr per marker": _mean(best),
        "marker_corr per celltype": _mean(best[leads]),
        f"marker_corr per marker mean > {MIN_MEAN}": _mean(best[mean > MIN_MEAN]),
    }


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan
