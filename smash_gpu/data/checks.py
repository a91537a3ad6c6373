"""What the stored values of each cell look like, summed per file or sample in the first pass over a matrix.

Each cell is looked at for itself: one value above 20 in one file says nothing about the cells of another. Raw counts
are whole numbers. Scaled counts have fractions and the same sum in every cell. Of log-normalised values, ``expm1`` has
the same sum in every cell, and none is above 20. Corrected counts have fractions, and neither sum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import namespace

LOG_CEILING = 20.0  # log1p of counts per 10,000 cannot exceed 9.3, of counts per million 13.9
FEWEST_CELLS = 5  # from which a sum is called the same in all
SAME = 0.01  # standard deviation of its logarithm, at most; of counts it is 0.2 or more
NUMBERS = ("nonzero", "not_finite", "negative", "fractional", "large")
COLUMNS = (
    *NUMBERS,
    "cells",  # that have values
    "fractional_cells",
    "values",  # of the cells with fractions
    "large_among",  # the values above `LOG_CEILING` of these cells
    "n_scaled", "scaled", "scaled_square",  # cells with fractions whose sum is known; its logarithm and the square
    "n_logged", "logged", "logged_square",  # the same of the sum of expm1, of those without a value above 20
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """The files or samples that the cells come from.

    Attributes
    ----------
    code
        The part of each cell.
    names
        Each part as a message names it.
    """

    code: np.ndarray
    names: tuple[str, ...] = ("the matrix",)

    @classmethod
    def one(cls, n_cells: int) -> Self:
        """All cells as one part."""
        return cls(np.broadcast_to(np.int8(0), n_cells))


@dataclass(frozen=True)
class ValueChecks(Additive):
    """Sums over cells of each part (parts × `COLUMNS`), float64."""

    sums: Any

    @classmethod
    def of(cls, block: Any, code: np.ndarray, n_parts: int = 1) -> Self:
        """Of one block, in its memory; ``code`` is the part of each cell."""
        numbers, sums = ops.value_checks(block, LOG_CEILING)
        return cls(_by_part(_columns(numbers, sums), code, n_parts))

    @classmethod
    def none(cls, n_parts: int = 1) -> Self:
        """Of no block."""
        return cls(np.zeros((n_parts, len(COLUMNS))))

    def of_parts(self, n_parts: int) -> ValueChecks:
        """The same for this number of parts, else for all cells as one."""
        return self if len(self.sums) == n_parts else ValueChecks(self.sums.sum(axis=0, keepdims=True))

    def __getitem__(self, column: str) -> np.ndarray:
        """A number for each part."""
        return self.sums[:, COLUMNS.index(column)]

    def total(self, column: str) -> int:
        """A number for all cells."""
        return int(self[column].sum())

    def same_sum(self, what: str) -> np.ndarray:
        """The sum that the cells of a part have in common, of values ("scaled") or of expm1 ("logged"); else NaN."""
        spread = {each: self._spread(each) for each in ("scaled", "logged")}
        is_same = (spread[what] < SAME) & (spread[what] == np.minimum(*spread.values()))  # of 1: the one that is exact
        return np.where(is_same, np.exp(self[what] / np.maximum(self[f"n_{what}"], 1)), np.nan)

    def _spread(self, what: str) -> np.ndarray:
        """Standard deviation of the logarithm of the sum; infinite for a few cells."""
        n = np.maximum(self[f"n_{what}"], 1)
        variance = self[f"{what}_square"] / n - (self[what] / n) ** 2
        return np.where(self[f"n_{what}"] >= FEWEST_CELLS, np.sqrt(np.maximum(variance, 0)), np.inf)


def _columns(numbers: Any, sums: Any) -> Any:
    """`COLUMNS` of each cell, float64."""
    xp = namespace(numbers)
    nonzero, _, _, fractional, large = numbers
    has_fractions = fractional > 0
    columns = [*numbers, nonzero > 0, has_fractions, nonzero * has_fractions, large * has_fractions]
    for total, counts in zip(sums, (has_fractions, has_fractions & (large == 0)), strict=True):
        is_known = counts & (total > 0)  # False for NaN
        logarithm = xp.log(xp.where(is_known, total, 1.0))
        columns += [is_known, logarithm, logarithm**2]
    return xp.stack([column.astype(xp.float64) for column in columns], axis=1)


def _by_part(columns: Any, code: np.ndarray, n_parts: int) -> Any:
    xp = namespace(columns)
    sums = xp.zeros((n_parts, columns.shape[1]))
    present = np.unique(code) if n_parts > 1 else np.zeros(min(len(code), 1), dtype=int)
    if len(present) == 1:
        sums[int(present[0])] = columns.sum(axis=0)
    elif len(present):
        sizes = np.bincount(code, minlength=n_parts)
        order = xp.asarray(np.argsort(code, kind="stable"))
        upto = xp.concatenate([xp.zeros((1, columns.shape[1])), xp.cumsum(columns[order], axis=0)])
        ends = xp.asarray(np.append(0, np.cumsum(sizes)))
        sums = upto[ends[1:]] - upto[ends[:-1]]
    return sums
