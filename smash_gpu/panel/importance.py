"""From the importance that a model gives each gene to the weight of its separations."""

from __future__ import annotations

import numpy as np

N_LARGEST = 100
LEAST = 1e-6  # of a gene that the model does not use, so that such genes come last, in the order of what they separate


def weights(importance: np.ndarray) -> np.ndarray:
    """``w_g = min(1, I_g / mean of the 100 largest I)``, at least `LEAST`; genes without importance (NaN) have 0.

    If the model uses no gene at all, all weights are 1.

    Parameters
    ----------
    importance
        Of each gene, 0 or more (less counts as 0).
    """
    known = ~np.isnan(importance)
    used = np.maximum(np.asarray(importance, dtype=np.float64), 0)
    largest = np.sort(used[known])[::-1][:N_LARGEST]
    if not largest.sum() > 0:
        return known.astype(np.float64)
    return np.where(known, np.clip(used / largest.mean(), LEAST, 1), 0)
