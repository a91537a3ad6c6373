"""Batches and classes: can the difference between two batches be told from the difference between their classes?"""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

from smash_gpu.errors import warn


def warn_of_parts(n_cells: np.ndarray, consequence: str) -> None:
    """Warn of batches that share no class, directly or through other batches.

    Parameters
    ----------
    n_cells
        Number of cells; classes × batches.
    consequence
        What follows from it, as the end of the sentence.
    """
    present = n_cells[:, n_cells.any(axis=0)] > 0
    parts = connected_components(present.T.astype(int) @ present)[0]
    if parts > 1:
        warn(f"the batches fall into {parts} parts that share no class; {consequence}")
