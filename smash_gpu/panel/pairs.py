"""Pairs of classes to separate, and their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.panel.classes import Classes


@dataclass(frozen=True)
class Pairs:
    """Pairs of classes of one level, and their weights, which sum to 1."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray


def weighted_pairs(
    classes: Classes,
    column_weights: Mapping[str, float],
    *,
    prior: float = 0.0,
    ignore: Iterable[str] = (),
    class_weights: Mapping[str, float] | None = None,
    pair_weights: Mapping[tuple[str, str], float] | None = None,
) -> Pairs:
    """Every pair of classes of one column, with ``w_ab = c_a c_b f_ab (p_a p_b)^(prior / 2)``, scaled to 1 in all.

    The pairs of a column have the total weight ``column_weights``, however many classes the column has. A pair of
    classes that an earlier column has, too, with equal names and as many cells, counts there only. A single class, all
    cells, has no pairs.

    Parameters
    ----------
    prior
        0: all pairs weigh the same. 1: pairs weigh by the shares p of their classes among the cells of the column.
    ignore
        Classes that are left out of all pairs.
    class_weights, pair_weights
        ``c`` and ``f`` by name; 1 where not given, and 0 leaves out.

    Raises
    ------
    KeyError, ValueError
        If a class is unknown, a weight is negative, or no pair is left.
    """
    if len(classes.names) == 1:  # all cells: there is nothing to separate
        return Pairs(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    own = np.ones(len(classes.names))
    for name, factor in {**dict.fromkeys(ignore, 0.0), **(class_weights or {})}.items():
        own[classes.rows(name, "ignore" if name in set(ignore) else "class_weights")] = _not_negative(factor, name)
    parts, same, counted = [], _same(classes), np.zeros(0, dtype=int)
    for column, span in classes.spans.items():
        first, second = (index + span.start for index in np.triu_indices(span.stop - span.start, 1))
        share = classes.n_cells / classes.n_cells[span].sum()
        weight = own[first] * own[second] * (share[first] * share[second]) ** (prior / 2)
        for (a, b), factor in (pair_weights or {}).items():
            rows = [classes.rows(name, "pair_weights") for name in (a, b)]
            weight[np.isin(first, rows[0]) & np.isin(second, rows[1])] *= _not_negative(factor, f"{a} | {b}")
            weight[np.isin(first, rows[1]) & np.isin(second, rows[0])] *= factor
        pair = np.minimum(same[first], same[second]) * len(same) + np.maximum(same[first], same[second])
        weight[np.isin(pair, counted)] = 0.0
        if column_weights[column] > 0:
            counted = np.append(counted, pair)
        if weight.sum() > 0:
            parts.append((first, second, weight / weight.sum() * _not_negative(column_weights[column], column)))
    pairs = [np.concatenate(part) for part in zip(*parts, strict=True)]
    if not parts or not pairs[2].sum() > 0:
        raise ValueError("no pair of classes is left to separate; ignore fewer classes, or set a weight above 0.")
    first, second, weight = (array[pairs[2] > 0] for array in pairs)
    return Pairs(first, second, weight / weight.sum())


def _same(classes: Classes) -> np.ndarray:
    """One number for all classes that are the same in several columns: of one name, with as many cells."""
    keys = [(str(name), int(cells)) for name, cells in zip(classes.names, classes.n_cells, strict=True)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _not_negative(weight: Any, name: str) -> float:
    if not float(weight) >= 0:
        raise ValueError(f"the weight of {name} is {weight}; weights must be 0 or more, not negative.")
    return float(weight)
