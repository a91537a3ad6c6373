"""How right the models are on held-out cells, in words, and when their scores deserve a warning."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.errors import warn
from smash_gpu.runtime.words import join_names

SHORTFALL = 0.1  # of the accuracy of the others
FEW_CELLS = 10  # to learn a group from


def in_words(model: str, accuracy: np.ndarray, group_accuracy: np.ndarray, groups: np.ndarray) -> str:
    """One line: accuracy over all held-out cells and in every group, the lowest first; means over the models."""
    count = f" (mean of {len(accuracy)} models)" if len(accuracy) > 1 else ""
    return (
        f"Model {model}: {accuracy.mean():.1%} of the held-out cells are predicted right{count}, with all candidate "
        f"genes. By group: {join_names(_lowest_first(group_accuracy, groups))}."
    )


def check(model: str, scores: Any, groups: np.ndarray, within: str = "") -> None:
    """Warn if a model predicts far fewer held-out cells right than others, or had few cells of a group to learn from.

    The others are the nearest class mean, and the models with other seeds.

    Parameters
    ----------
    scores
        The `scoring.Scores` of the models.
    within
        The broad group that the cells are from.
    """
    where, n_models = f"within {within}: " if within else "", len(scores.accuracy)
    worst, best = int(scores.accuracy.argmin()), max(scores.accuracy.max(), scores.nearest_mean.max())
    if scores.accuracy[worst] < best - SHORTFALL:
        which = f"model {model}" + (f", number {worst + 1} of {n_models}," if n_models > 1 else "")
        other = "the nearest class mean" if best == scores.nearest_mean.max() else "one with another seed"
        lowest = ", ".join(_lowest_first(scores.group_accuracy[worst : worst + 1], groups)[:3])
        warn(
            f"{where}{which} predicts {scores.accuracy[worst]:.0%} of its held-out cells right, {other} {best:.0%}, so "
            f"its scores can mislead (lowest: {lowest}). Use another model, or other model_options."
        )
    cells = scores.training_cells.min(axis=0)
    few = np.flatnonzero(cells < FEW_CELLS)
    if len(few):
        listed = join_names(f"{groups[code]} ({cells[code]})" for code in few)
        warn(
            f"{where}fewer than {FEW_CELLS} training cells of {listed}: such a group can hardly be learned, and its "
            "markers rest on few cells. Merge it with another, or leave it out with min_cells=."
        )


def _lowest_first(group_accuracy: np.ndarray, groups: np.ndarray) -> list[str]:
    """Each group with its accuracy, mean over the models; groups without held-out cells are left out."""
    mean = group_accuracy.mean(axis=0)
    order = [code for code in np.argsort(mean, kind="stable") if not np.isnan(mean[code])]
    return [f"{groups[code]} {mean[code]:.0%}" for code in order]
