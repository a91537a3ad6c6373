"""The classes of one or more label columns as rows of one table, and the sums over their cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from smash_gpu.data.stats import GroupStats
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import did_you_mean, join_names

NONE = -1
ALL_CELLS = "all cells"  # the one class of a panel without classes


@dataclass(frozen=True)
class Level:
    """One label column: its name, the class of each cell (−1 for none), the names of the classes, its weight."""

    name: str
    code: np.ndarray
    classes: np.ndarray
    weight: float = 1.0


@dataclass(frozen=True)
class Classes:
    """The classes of all levels, one level after the other.

    Attributes
    ----------
    levels, names
        Label column and name of every class.
    n_cells
        Number of cells of every class.
    """

    levels: np.ndarray
    names: np.ndarray
    n_cells: np.ndarray

    @cached_property
    def spans(self) -> dict[str, slice]:
        """The rows of each level."""
        first = {level: int(np.argmax(self.levels == level)) for level in dict.fromkeys(self.levels)}
        return {level: slice(row, row + int((self.levels == level).sum())) for level, row in first.items()}

    @property
    def level_codes(self) -> np.ndarray:
        """The number of the level of every class."""
        return np.repeat(np.arange(len(self.spans)), [span.stop - span.start for span in self.spans.values()])

    @property
    def labels(self) -> np.ndarray:
        """Names for display: the class, preceded by its column if there are several columns."""
        several = len(self.spans) > 1
        both = zip(self.levels, self.names, strict=True)
        return np.array([f"{level}: {name}" if several else name for level, name in both], dtype=object)

    def rows(self, name: str, what: str) -> np.ndarray:
        """The rows of the classes with this name, in any column.

        Raises
        ------
        KeyError
            If there is no such class.
        """
        found = np.flatnonzero(self.names == str(name))
        if not len(found):
            near = did_you_mean(str(name), self.names)
            raise NotFoundError(f"{what}: there is no class {name!r}.{near} Classes: {join_names(self.names)}.")
        return found


@dataclass(frozen=True)
class Strata:
    """Groups of cells with the same classes, sample and batch, which are counted together.

    Attributes
    ----------
    code
        Stratum of each cell, −1 for cells without any class.
    rows
        Class of each stratum in each level, as a row of `Classes`, −1 for none; strata × levels.
    sample, batch
        Code of each stratum.
    """

    code: np.ndarray
    rows: np.ndarray
    sample: np.ndarray
    batch: np.ndarray

    @property
    def n(self) -> int:
        """Number of strata."""
        return len(self.rows)

    def members(self, n_classes: int, within: np.ndarray | None = None) -> sparse.csr_array:
        """1 where a stratum belongs to a class (and one value of ``within``); (classes · values) × strata."""
        within = np.zeros(self.n, dtype=int) if within is None else within
        values = int(within.max(initial=0)) + 1
        stratum, level = np.nonzero(self.rows != NONE)
        row = self.rows[stratum, level] * values + within[stratum]
        return sparse.csr_array((np.ones(len(row)), (row, stratum)), shape=(n_classes * values, self.n))


def classes_of(levels: Iterable[Level]) -> Classes:
    """All classes of the levels."""
    levels = list(levels)
    names = [level.classes for level in levels]
    sizes = [np.bincount(level.code[level.code >= 0], minlength=len(level.classes)) for level in levels]
    column = np.repeat(np.array([level.name for level in levels], dtype=object), list(map(len, names)))
    return Classes(column, np.concatenate(names), np.concatenate(sizes))


def strata_of(levels: list[Level], sample: np.ndarray | None, batch: np.ndarray | None) -> Strata:
    """Number the combinations of class, sample and batch that occur: one pass over the cells counts them all."""
    starts = np.cumsum([0, *(len(level.classes) for level in levels)])
    rows = np.stack(
        [np.where(level.code >= 0, level.code + start, NONE) for level, start in zip(levels, starts, strict=False)],
        axis=1,
    )
    used = (rows != NONE).any(axis=1)
    others = [
        np.zeros(len(rows), dtype=int) if v is None else np.unique(v, return_inverse=True)[1] for v in (sample, batch)
    ]
    found, number = np.unique(np.column_stack([rows, *others])[used], axis=0, return_inverse=True)
    code = np.full(len(rows), NONE)
    code[used] = number.ravel()
    return Strata(code, found[:, : len(levels)], found[:, -2], found[:, -1])


def summed(stats: GroupStats, members: sparse.csr_array) -> GroupStats:
    """Sums over the strata of every row of ``members``."""
    whole = (np.int64, np.int64, np.float64, np.float64, np.float64)
    arrays = (members @ array for array in vars(stats).values())
    return GroupStats(*(array.astype(dtype) for array, dtype in zip(arrays, whole, strict=True)))
