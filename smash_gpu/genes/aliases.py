"""Other and earlier names of genes, as the annotation of the data gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smash_gpu.genes.tables import known_column, texts

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = tuple(
    f"{kind}{ending}"
    for kind in ("alias", "aliases", "synonym", "synonyms", "gene_synonym", "gene_synonyms", "prev", "previous", "old")
    for ending in ("", "_symbol", "_symbols", "_name", "_names")
)
BETWEEN = re.compile(r"[|;,]")


def aliases_in(var: pd.DataFrame, names: np.ndarray) -> dict[str, list[str]]:
    """The genes that have each alias or earlier name, from the columns of ``var`` that are called so.

    A cell may hold several, as a list or with ``|``, ``;`` or ``,`` between them.
    """
    found: dict[str, list[str]] = {}
    for called in COLUMNS:
        place = known_column(var.columns, (called,))
        if place is None:
            continue
        for name, cell in zip(names, var.iloc[:, place], strict=True):
            for alias in _aliases(cell):
                found.setdefault(alias, []).append(str(name))
    return found


def _aliases(cell: Any) -> Iterator[str]:
    for text in texts(cell if isinstance(cell, list | tuple | np.ndarray) else [cell]):
        yield from filter(None, (one.strip(" []'\"") for one in BETWEEN.split(text or "")))
