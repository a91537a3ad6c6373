"""Which genes are markers of which class, for `min_markers`."""

from __future__ import annotations

import numpy as np

from smash_gpu.panel.classes import Classes
from smash_gpu.panel.objective import cuts
from smash_gpu.panel.profiles import Profiles

SEPARATION = 0.5  # two normal classes: a cell of one exceeds a cell of the other with probability 76 %
SHARE_OF_CLASSES = 0.9
GENES_PER_BLOCK = 1024


def exceeded(profiles: Profiles, classes: Classes, ignored: np.ndarray) -> np.ndarray:
    """Number of classes of the same column that each class exceeds with a separation of `SEPARATION`; classes × genes.

    Parameters
    ----------
    ignored
        Classes that are left out on both sides of the comparison.
    """
    count = np.zeros(profiles.mean.shape, dtype=np.int32)
    for block in cuts(0, profiles.n_genes, GENES_PER_BLOCK):
        part = profiles.unweighted.of(block)
        for span in classes.spans.values():
            rows = np.arange(span.start, span.stop)
            rows = rows[~ignored[rows]]
            for place, row in enumerate(rows[:-1]):
                others = rows[place + 1 :]
                far = part.separation(np.full(len(others), row), others) >= SEPARATION
                above = part.mean[row] > part.mean[others]
                count[row, block] += (far & above).sum(axis=0, dtype=np.int32)
                count[others, block] += far & ~above
    return count


def markers(profiles: Profiles, classes: Classes, ignored: np.ndarray) -> np.ndarray:
    """Markers of each class: they exceed `SHARE_OF_CLASSES` of the other classes of its column; classes × genes."""
    others = np.array([np.sum((classes.levels == level) & ~ignored) - 1 for level in classes.levels])
    needed = np.maximum(1, np.ceil(SHARE_OF_CLASSES * others - 1e-9))
    return (exceeded(profiles, classes, ignored) >= needed[:, None]) & ~ignored[:, None]


def rivals(profiles: Profiles, classes: Classes, ignored: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes that one class is compared with, and the genes in which it exceeds each; rows, and rows × genes."""
    span = classes.spans[classes.levels[row]]
    others = np.array([r for r in range(span.start, span.stop) if r != row and not ignored[r]])
    s = profiles.unweighted.separation(np.full(len(others), row), others)
    return others, (s >= SEPARATION) & (profiles.mean[row] > profiles.mean[others])
