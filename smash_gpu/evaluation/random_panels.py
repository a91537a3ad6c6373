"""Baseline panels: random genes with the same expression levels as the panel they are compared with."""

from __future__ import annotations

import numpy as np

N_BINS = 20


def expression_bins(mean: np.ndarray, names: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Bin of each gene by mean expression: bins of equal numbers of expressed genes; −1 for genes not expressed.

    Parameters
    ----------
    mean
        Mean expression of every gene over all cells.
    names
        Gene names, used to order genes with equal means.
    """
    bins = np.full(len(mean), -1)
    expressed = np.flatnonzero(mean > 0)
    order = expressed[np.lexsort((names[expressed].astype(str), mean[expressed]))]
    bins[order] = np.arange(len(order)) * min(n_bins, max(len(order), 1)) // max(len(order), 1)
    return bins


def matched_panel(panel: np.ndarray, bins: np.ndarray, names: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """Different random genes, the i-th from the bin of the panel's i-th gene, so that prefixes match as well.

    Genes of the panel itself may be drawn too.
    """
    rng = np.random.default_rng(seed)
    drawn = np.empty(len(panel), dtype=int)
    for bin_ in np.unique(bins[panel]):
        places = np.flatnonzero(bins[panel] == bin_)
        inside = np.flatnonzero(bins == bin_)
        drawn[places] = rng.permutation(inside[np.argsort(names[inside].astype(str))])[: len(places)]
    return drawn
