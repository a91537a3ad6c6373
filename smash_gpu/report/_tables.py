"""Tables of values as the pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from smash_gpu.report._render import MINUS, significant

GENES = ("gene", "symbol", "name in the data", "substitute", "next best gene")
NOTES = {
    "gain": "what the gene adds to those above it",
    "resolution so far": "of the gene and those above it, as a share of what all genes together resolve",
    "variation so far": "share of the variation between cells that the gene and those above it explain",
    "resolves most": "the pair of classes for which the gene does most",
    "mean counts": "counts per cell, mean of all cells",
    "highest mean counts": "counts per cell, mean of the class with the most",
    "loss without it": "what the panel loses if this gene fails",
    "substitute": "the gene outside the panel that does most of what this one does",
    "share it replaces": "share of what the gene does that its substitute does too",
    "loss with substitute": "what the panel still loses with the substitute instead of the gene",
    "next best gene": "the gene outside the panel that adds most to the other genes of the panel",
    "loss with next best gene": "what the panel still loses with it instead of the gene",
    "in the panel": "markers of the class in the panel: genes that are clearly higher than in nine of ten others",
    "in the data": "markers of the class among all genes",
    "allowed": "markers of the class among the genes that the rules leave",
    "hardest to separate from": "the classes from which the fewest genes separate this one",
    "possible": "share of the pair, or of the hardest of the class, that would be resolved with all genes for it alone",
    "of the best panel": "the resolution is at least this share of that of the best panel of this size",
    "pairs resolved": "share of the pairs of classes that are more than half resolved",
}


@dataclass(frozen=True)
class Table:
    """Columns by title.

    Attributes
    ----------
    caption
        Its heading.
    columns
        Values by title.
    n_rows
        Number of rows before it was shortened.
    is_stacked
        Whether it holds sentences, so that a phone shows the values of a row below each other.
    digits
        Decimals of numbers with a fraction; None for three significant digits.
    """

    caption: str
    columns: dict[str, pd.Series]
    n_rows: int
    is_stacked: bool = False
    digits: int | None = None

    @property
    def shown(self) -> int:
        """Number of rows that are left."""
        return len(next(iter(self.columns.values())))

    @property
    def kinds(self) -> dict[str, str]:
        """What each column holds: "number", "gene", "prose" (sentences) or "name"."""
        return {title: self._kind(title, values) for title, values in self.columns.items()}

    def _kind(self, title: str, values: pd.Series) -> str:
        if pd.api.types.is_any_real_numeric_dtype(values):
            return "number"
        return "gene" if title in GENES else "prose" if self.is_stacked and values.str.len().max() > 40 else "name"

    def text(self, title: str, row: int) -> str:
        """A value in words."""
        values = self.columns[title]
        value = values.iloc[row]
        if pd.isna(value):
            return "–"
        if self.digits is not None and pd.api.types.is_float_dtype(values):
            return f"{value:.{self.digits}f}".replace("-", MINUS)
        return significant(value) if pd.api.types.is_any_real_numeric_dtype(values) else str(value)

    @property
    def notes(self) -> dict[str, str | None]:
        """What the titles mean, where that needs to be said."""
        return {title: NOTES.get(title) for title in self.columns}


def table(
    caption: str, data: pd.DataFrame, titles: Mapping[str, str], *, rows: Any = slice(None), **options: Any
) -> Table:
    """The columns of ``titles`` that say something, with ``options`` of `Table`; ``rows`` are positions."""
    filled = [column for column in titles if column in data and _says_something(data, column, next(iter(titles)))]
    return Table(caption, {titles[column]: data[column].iloc[rows] for column in filled}, len(data), **options)


def _says_something(data: pd.DataFrame, column: str, first: str) -> bool:
    """Not so a column without values, a second name that is always the first, and one column of labels for all rows."""
    values = data[column].astype(str).str.strip()
    known = data[column].notna() & values.ne("")
    if column in ("name", "symbol") and column != first:
        known &= values.ne(data[first].astype(str))
    return bool(known.any()) and (column != "column" or values.nunique() > 1)
