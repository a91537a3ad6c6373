"""What models say about the genes, alone and together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from smash_gpu.selection.consensus import combined

HELD_OUT = ("accuracy", "nearest_mean", "group_accuracy", "training_cells")  # as in `Scores`


@dataclass(frozen=True)
class Scores:
    """What the models say about the genes, and how right they are on their held-out cells with all candidate genes.

    Attributes
    ----------
    mean, spread
        Mean and standard deviation of the scores over the models; groups × genes, float32, NaN for genes that are not
        candidates.
    importance
        Of each gene for all groups together, mean over the models; float32, NaN for genes that are not candidates.
    auc
        Area under the ROC curve of each gene for each group; groups × genes, float32.
    accuracy, nearest_mean
        Of each model, and of the nearest class mean on the same cells.
    group_accuracy, training_cells
        Accuracy in every group, and the number of cells to learn it from; models × groups.
    by_model
        Of a consensus: the mean scores of each of its models, by name.
    """

    mean: np.ndarray
    spread: np.ndarray
    importance: np.ndarray
    auc: np.ndarray
    accuracy: np.ndarray
    nearest_mean: np.ndarray
    group_accuracy: np.ndarray
    training_cells: np.ndarray
    by_model: Mapping[str, np.ndarray] = field(default_factory=dict)


def together(each: Mapping[str, Scores]) -> Scores:
    """The consensus of the scores of several models, each with its name and already the mean over its seeds."""
    found = list(each.values())
    mean, spread = (part.astype(np.float32) for part in combined(np.stack([one.mean for one in found])))
    overall, _ = combined(np.stack([one.importance for one in found]))
    known = (one.auc for one in found if not np.isnan(one.auc).all())
    return replace(
        found[0],
        mean=mean,
        spread=spread,
        importance=overall.astype(np.float32),
        auc=next(known, found[0].auc),
        by_model={name: one.mean for name, one in each.items()},
        **{name: np.concatenate([getattr(one, name) for one in found]) for name in HELD_OUT},
    )
