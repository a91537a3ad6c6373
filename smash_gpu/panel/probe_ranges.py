"""The least and the most probe sets of every gene, from numbers or columns."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

End = int | str


class GeneColumns(Protocol):
    """Genes with numeric columns."""

    @property
    def names(self) -> np.ndarray:
        """Of all genes."""

    def column(self, name: str, what: str) -> np.ndarray:
        """A numeric column of the annotation."""


def checked(asked: Any) -> tuple[End, End]:
    """``(low, high)``, each a whole number of at least 1 or the name of a column.

    Raises
    ------
    TypeError, ValueError
        If it is not a pair of them, or the range is empty.
    """
    try:
        low, high = () if isinstance(asked, str) else tuple(asked)
    except (TypeError, ValueError):
        raise TypeError(
            f"probe_sets={asked!r} is not a range; give (low, high), numbers or columns of adata.var."
        ) from None
    low, high = (end if isinstance(end, str) else _at_least_one(end) for end in (low, high))
    if not isinstance(low, str) and not isinstance(high, str) and low > high:
        raise ValueError(f"probe_sets={asked} is empty: no number lies between {low} and {high}.")
    return low, high


def _at_least_one(end: Any) -> int:
    if not (isinstance(end, int | float | np.number) and end >= 1 and end == np.floor(end)):
        raise ValueError(f"probe_sets holds {end!r}; a number of probe sets is whole and at least 1.")
    return int(end)


def ranges(asked: tuple[End, End], known: GeneColumns, must: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and most probe sets of every gene; genes that must be in have at least one, and their range is not empty.

    Raises
    ------
    KeyError, ValueError
        If a column is unknown, or a number missing or not whole.
    """
    low, high = (_numbers(end, known) for end in asked)
    high = np.where(must, np.maximum(high, 1), high)
    return np.where(must, np.clip(low, 1, high), np.maximum(low, 1)), high


def _numbers(end: End, known: GeneColumns) -> np.ndarray:
    if not isinstance(end, str):
        return np.full(len(known.names), int(end))
    found = known.column(end, "probe_sets")
    wrong = np.flatnonzero(~((found >= 0) & (found == np.floor(found))))
    if len(wrong):
        raise ValueError(
            f"column {end!r} of adata.var has numbers of probe sets that are missing or not whole, e.g. for "
            f"{known.names[wrong[0]]}; fill them in, with 0 for genes without probes."
        )
    return found.astype(int)
