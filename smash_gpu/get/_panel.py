"""The last panel design as values."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import not_one_of

TABLES = (
    "genes",
    "pairs",
    "purposes",
    "curve",
    "rules",
    "caps",
    "certificate",
    "slide",
    "platform",
    "crowding",
    "tuning",
)


def panel(adata: AnnData, *, key: str = slots.PANEL) -> list[str]:
    """The genes of the last `tl.panel`, in the order of choice; existing genes that it extends are not among them.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    key
        Name of the slots.

    Returns
    -------
    Names of the genes.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> sorted(adata.var["marker_of"][smg.get.panel(adata)])
    ['A', 'B / b', 'CD4+ T']
    """
    return panel_table(adata, key=key)["name"].tolist()


def panel_table(adata: AnnData, table: str = "genes", *, key: str = slots.PANEL) -> pd.DataFrame:
    """A table of the last `tl.panel`.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    table
        "genes" (one row per gene, in the order of choice), "pairs" (per pair of classes, least resolved first),
        "purposes" (the pairs that need each gene most), "curve" (size against resolution), "rules" (genes that each
        rule removed), "caps" (sums against their caps), "certificate" (markers of each class; those with fewer than
        promised first, and why), "slide" (all genes on the slide: the existing panel, in the data or not, and the
        chosen ones), "platform" (its numbers, their sources and their use), "crowding" (transcripts per cell in each
        class) or, with ``tune=True``, "tuning" (settings and the share of cells misclassified with them).
    key
        Name of the slots.

    Returns
    -------
    The table; `tl.panel` describes its columns. Shares and gains are float64, from 0 to 1; ``mean_counts`` and
    ``max_counts`` are raw counts per cell.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or there is no such table.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> smg.get.panel_table(adata)["rank"].tolist()
    [1, 2, 3]
    >>> smg.get.panel_table(adata, "pairs")[["class_a", "class_b"]].shape
    (3, 2)
    """
    if table not in TABLES:
        raise NotFoundError(not_one_of("table", table, TABLES))
    step = "tl.panel" + "(tune=True)" * (table == "tuning")
    return slots.require(adata, table, key, step).copy()
