"""What `tl.stability` found."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import did_you_mean


def stability(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """How often each gene was chosen again by the last `tl.stability`; a row a gene, the most frequent first.

    Returns
    -------
    Columns ``name``; ``rank`` in the panel from all cells (0: not in it); ``frequency``, the share of halves that chose
    it; ``rank_median``, ``rank_low`` and ``rank_high`` (5 % and 95 % quantiles) of its rank over the halves, where one
    more than the size of the panel means not chosen.
    """
    return slots.require(adata, "stability", key, "tl.stability").copy()


def panel_overlap(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Genes that two panels from halves without a common cell share: mean, spread and range over the pairs of halves.

    Returns
    -------
    Rows ``shared`` (genes), ``jaccard`` and ``shared_by_chance`` (genes that two random panels share); columns
    ``mean``, ``std``, ``min``, ``max``. Panels from as many cells as there are overlap more than these from halves.
    """
    table = slots.require(adata, "stability_overlap", key, "tl.stability")
    return table[["shared", "jaccard", "shared_by_chance"]].agg(["mean", "std", "min", "max"]).T


def substitutes(adata: AnnData, gene: str | None = None, *, key: str = slots.KEY) -> pd.DataFrame:
    """Near substitutes of the genes of the panel, from the last `tl.stability`; the most similar first.

    They are genes that some half chose, that the panel does not hold, and whose profile over the groups correlates with
    the gene's by 0.5 or more; a gene without any has no row.

    Parameters
    ----------
    gene
        A gene of the panel; None for all.

    Returns
    -------
    Columns ``name``, ``substitute``; ``correlation`` of their mean expression over the groups; ``frequency`` of the
    substitute over the halves; ``when_absent``, ``when_present``: its frequency among the halves that did not and that
    did choose the gene. One that takes the gene's place has the first above the second.
    """
    table = slots.require(adata, "substitutes", key, "tl.stability")
    if gene is None:
        return table.copy()
    names = list(dict.fromkeys(table["name"]))
    if gene not in names:
        raise NotFoundError(f"{gene!r} is not in the panel of tl.stability." + did_you_mean(gene, names))
    return table[table["name"] == gene].reset_index(drop=True)
