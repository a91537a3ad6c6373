"""Numbers per gene in a user's mapping or table, found by name, symbol or Ensembl id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from smash_gpu.genes.lists import GeneNames
from smash_gpu.genes.tables import IDS, NAMES, Gene, known_column, names_in, read_table

if TYPE_CHECKING:
    import pandas as pd

Values: TypeAlias = "str | Mapping[str, float] | pd.Series | pd.DataFrame | Path"  # a string is a column of adata.var
PerGene: TypeAlias = Mapping[Gene, float]


def per_gene(given: Values, what: str) -> str | PerGene:
    """The name of a column as it is, else `numbers_in`."""
    return given if isinstance(given, str) else numbers_in(given, what)


def numbers_in(given: Any, what: str) -> PerGene:
    """A number for every gene that has one.

    Of a table or file it is the first column of numbers; the largest of several rows of one gene.

    Raises
    ------
    ValueError
        If there is no such column.
    TypeError
        If it is anything else.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame | Path):
        frame = given if isinstance(given, pd.DataFrame) else read_table(given).values
        return _largest(names_in(frame, what, otherwise=0), _first_numbers(frame, what))
    if isinstance(given, Mapping | pd.Series):
        pairs = [(Gene(str(name)), number) for name, number in given.items()]
        return _largest(*zip(*pairs, strict=True)) if pairs else {}
    raise TypeError(f"{what}={given!r} is none of: a column of adata.var, a mapping, a table, a pathlib.Path to one.")


def of_genes(known: GeneNames, given: PerGene, what: str, *, missing: str) -> np.ndarray:
    """The number of every gene of the data, NaN where none is given; float64, genes.

    Parameters
    ----------
    missing
        "warn" or "ignore" genes that the data lack.

    Raises
    ------
    ValueError
        If none of the genes is in the data.
    """
    genes = list(given)
    there = known.mask(genes, what, missing=missing)
    if genes and not there.any():
        raise ValueError(f"{what}: none of its genes is in the data by name, symbol or id, such as {genes[0]!r}.")
    found = np.full(len(known.names), np.nan)
    for gene, number in given.items():
        found[known.all_of(gene)] = number
    return found


def _largest(genes: Iterable[Gene | None], numbers: Iterable[Any]) -> dict[Gene, float]:
    """The largest number of each gene; a second gene of the same name goes by its id."""
    import pandas as pd

    first: dict[str, Gene] = {}
    found: dict[Gene, float] = {}
    for gene, number in zip(genes, numbers, strict=True):
        if gene is not None and not pd.isna(number):
            key = first.setdefault(str(gene), gene)
            key = Gene(gene.ensembl, gene.ensembl) if gene.ensembl != key.ensembl else key
            found[key] = max(float(number), found.get(key, -np.inf))
    return found


def _first_numbers(frame: pd.DataFrame, what: str) -> pd.Series:
    import pandas as pd

    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if known_column([name], (*NAMES, *IDS)) is None and pd.api.types.is_numeric_dtype(column):
            return column
    raise ValueError(f"{what}: the table has no column of numbers beside the genes.")
