"""The last validation of a list of genes as values."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import not_one_of

TABLES = ("checks", "genes", "crowding", "platform")


def validation(adata: AnnData, table: str = "checks", *, key: str = slots.VALIDATION) -> pd.DataFrame:
    """A table of the last `tl.validate`.

    Parameters
    ----------
    adata
        Annotated data after `tl.validate`.
    table
        "checks" (one row per check), "genes" (one row per gene of the list), "crowding" (transcripts per cell in each
        class) or "platform" (its numbers, their sources and their use).
    key
        Name of the slot.

    Returns
    -------
    The table; `tl.validate` describes its columns. Counts are float64, raw counts per cell.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no list was validated yet, or there is no such table.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.validate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], max_transcripts=100)
    >>> smg.get.validation(adata)["verdict"].value_counts()[["pass", "not checked"]].tolist()
    [5, 2]
    >>> smg.get.validation(adata, "crowding")["class"].tolist()
    ['A', 'B / b', 'CD4+ T']
    """
    if table not in TABLES:
        raise NotFoundError(not_one_of("table", table, TABLES))
    found = slots.held(adata, table, key, "tl.validate")
    slots.warn_if_changed(adata, key, slots.VALIDATED)
    return found.copy()
