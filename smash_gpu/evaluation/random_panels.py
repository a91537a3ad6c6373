"""Random panels with the same expression levels as the panel that they are compared with: the baseline."""

from __future__ import annotations

import numpy as np

N_BINS = 20


def expression_bins(mean: np.ndarray, names: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Bin of each gene by mean expression: equal numbers of expressed genes; genes without any form bin −1.

    Parameters
    ----------
    mean
        Mean expression of every gene over all cells.
    names
        Gene names; they decide between equal means.
    """
    bins = np.full(len(mean), -1)
    expressed = np.flatnonzero(mean > 0)
    order = expressed[np.lexsort((names[expressed].astype(str), mean[expressed]))]
    bins[order] = np.arange(len(order)) * min(n_bins, max(len(order), 1)) // max(len(order), 1)
    return bins


def matched_panel(panel: np.ndarray, bins: np.ndarray, names: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """As many different genes, the i-th from the expression bin of the panel's i-th; so prefixes match as well.

    The panel's own genes may be drawn, too.
    """
    rng = np.random.default_rng(seed)
    drawn = np.empty(len(panel), dtype=int)
    for bin_ in np.unique(bins[panel]):
        places = np.flatnonzero(bins[panel] == bin_)
        inside = np.flatnonzero(bins == bin_)
        drawn[places] = rng.permutation(inside[np.argsort(names[inside].astype(str))])[: len(places)]
    return drawn
