"""How right the models are on held-out cells, in words, and when their scores deserve a warning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smash_gpu.errors import warn
from smash_gpu.runtime.words import join_names

SHORTFALL = 0.1  # of the accuracy of the others
FEW_CELLS = 10  # to learn a group from


def in_words(names: Sequence[str], accuracy: np.ndarray, group_accuracy: np.ndarray, groups: np.ndarray) -> str:
    """One line per model: accuracy over all held-out cells and in every group, the lowest first; means over its seeds.

    Parameters
    ----------
    names
        Of the models. ``accuracy`` and ``group_accuracy`` hold all seeds of the first, then of the next (and so on for
        each broad group).
    """
    all_cells, by_group = (np.asarray(values) for values in (accuracy, group_accuracy))
    rows = [_rows(number, names, len(by_group)) for number in range(len(names))]
    all_cells = all_cells.reshape(-1, len(by_group))
    return "\n".join(
        _line(name, all_cells[:, part].ravel(), by_group[part], groups) for name, part in zip(names, rows, strict=True)
    )


def check(names: Sequence[str], scores: Any, groups: np.ndarray, within: str = "") -> None:
    """Warn if a model predicts far fewer held-out cells right than others, or had few cells of a group to learn from.

    The others are the nearest class mean, and the same model with other seeds.

    Parameters
    ----------
    names
        Of the models, as in `in_words`.
    scores
        The `scoring.Scores` of the models.
    within
        The broad group that the cells are from.
    """
    where = f"within {within}: " if within else ""
    for number, name in enumerate(names):
        _check_accuracy(name, scores, _rows(number, names, len(scores.accuracy)), groups, where)
    cells = scores.training_cells.min(axis=0)
    few = np.flatnonzero(cells < FEW_CELLS)
    if len(few):
        listed = join_names(f"{groups[code]} ({cells[code]})" for code in few)
        warn(
            f"{where}fewer than {FEW_CELLS} training cells of {listed}: such a class can hardly be learned, and its "
            "markers rest on few cells. Merge it with another, or leave it out with min_cells=."
        )


def _check_accuracy(name: str, scores: Any, rows: slice, groups: np.ndarray, where: str) -> None:
    accuracy, nearest = scores.accuracy[rows], scores.nearest_mean[rows]
    worst, best = int(accuracy.argmin()), max(accuracy.max(), nearest.max())
    if accuracy[worst] >= best - SHORTFALL:
        return
    which = f"model {name}" + (f", number {worst + 1} of {len(accuracy)}," if len(accuracy) > 1 else "")
    other = "the nearest class mean" if best == nearest.max() else "one with another seed"
    lowest = ", ".join(_lowest_first(scores.group_accuracy[rows][worst : worst + 1], groups)[:3])
    warn(
        f"{where}{which} predicts {accuracy[worst]:.0%} of its held-out cells right, {other} {best:.0%}, so "
        f"its scores can mislead (lowest: {lowest}). Use another model, or other model_options."
    )


def _rows(number: int, names: Sequence[str], n_rows: int) -> slice:
    """The rows of one of the models."""
    n_seeds = n_rows // len(names)
    return slice(number * n_seeds, (number + 1) * n_seeds)


def _line(name: str, accuracy: np.ndarray, group_accuracy: np.ndarray, groups: np.ndarray) -> str:
    count = f" (mean of {len(accuracy)} models)" if len(accuracy) > 1 else ""
    return (
        f"Model {name}: {accuracy.mean():.1%} of the held-out cells are predicted right{count}, with all candidate "
        f"genes. By class: {join_names(_lowest_first(group_accuracy, groups))}."
    )


def _lowest_first(group_accuracy: np.ndarray, groups: np.ndarray) -> list[str]:
    """Each group with its accuracy, mean over the models; groups without held-out cells are left out."""
    mean = group_accuracy.mean(axis=0)
    order = [code for code in np.argsort(mean, kind="stable") if not np.isnan(mean[code])]
    return [f"{groups[code]} {mean[code]:.0%}" for code in order]
