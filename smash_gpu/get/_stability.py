"""What `tl.stability` found."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import did_you_mean


def stability(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """How often the last `tl.stability` chose each gene again; one row per gene, the most frequent first.

    Parameters
    ----------
    adata
        Annotated data after `tl.stability`.
    key
        Name of the slots.

    Returns
    -------
    Columns ``name``; ``rank`` in the panel from all cells (int64; 0: not in it); ``frequency``, the share of halves
    that chose it (float64); ``rank_median``, ``rank_low`` and ``rank_high`` (int64; the median and the 5 % and 95 %
    quantiles) of its rank over the halves. A rank of one more than the size of the panel means not chosen.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.stability` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> first = lambda cells, n_genes: cells.var_names[:n_genes]
    >>> smg.tl.stability(adata, "cell_type", n_genes=2, n_resamples=2, choose=first)
    >>> smg.get.stability(adata)[["name", "rank", "frequency"]]
           name  rank  frequency
    0  MARKER0X     1        1.0
    1  MARKER0Y     2        1.0
    """
    return slots.require(adata, "stability", key, "tl.stability").copy()


def panel_overlap(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Genes that two panels from halves without a common cell share: mean, spread and range over the pairs of halves.

    Parameters
    ----------
    adata
        Annotated data after `tl.stability`.
    key
        Name of the slots.

    Returns
    -------
    Rows ``shared`` (number of genes), ``jaccard`` (from 0 to 1) and ``shared_by_chance`` (genes that two random panels
    share); columns ``mean``, ``std``, ``min``, ``max`` (float64). Two panels from all cells would overlap more than
    these from halves.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.stability` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> first = lambda cells, n_genes: cells.var_names[:n_genes]
    >>> smg.tl.stability(adata, "cell_type", n_genes=2, n_resamples=2, choose=first)
    >>> float(smg.get.panel_overlap(adata).loc["jaccard", "mean"])
    1.0
    """
    table = slots.require(adata, "stability_overlap", key, "tl.stability")
    return table[["shared", "jaccard", "shared_by_chance"]].agg(["mean", "std", "min", "max"]).T


def substitutes(adata: AnnData, gene: str | None = None, *, key: str = slots.KEY) -> pd.DataFrame:
    """Near substitutes of the genes of the panel, from the last `tl.stability`; the most similar first.

    A substitute was chosen by some half, is not in the panel, and its profile over the classes correlates with the
    gene's by 0.5 or more. A gene without any has no row.

    Parameters
    ----------
    adata
        Annotated data after `tl.stability`.
    gene
        A gene of the panel; None for all.
    key
        Name of the slots.

    Returns
    -------
    Columns ``name``, ``substitute``; ``correlation`` of their mean expression over the classes; ``frequency`` of the
    substitute over the halves; ``when_absent`` and ``when_present``, its frequency among the halves that did not and
    that did choose the gene (all float64). A gene that takes the place of another has ``when_absent`` above
    ``when_present``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.stability` has not run yet, or the gene is not in its panel.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> most = lambda cells, n_genes: cells.var_names[cells.X.sum(axis=0).A1.argsort()[::-1][:n_genes]]
    >>> smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=4, choose=most)
    >>> smg.get.substitutes(adata)["name"].isin(adata.var_names).all()
    np.True_
    """
    table = slots.require(adata, "substitutes", key, "tl.stability")
    if gene is None:
        return table.copy()
    names = list(dict.fromkeys(table["name"]))
    if gene not in names:
        near = did_you_mean(gene, names)
        raise NotFoundError(f"{gene!r} is not in the panel of tl.stability, or has no substitutes.{near}")
    return table[table["name"] == gene].reset_index(drop=True)
