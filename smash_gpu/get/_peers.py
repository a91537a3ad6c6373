"""What `tl.nsforest_metrics` and `tl.spapros_metrics` found."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots


def nsforest_metrics(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """NS-Forest's metrics of the last `tl.nsforest_metrics`; one row per class.

    Parameters
    ----------
    adata
        Annotated data after `tl.nsforest_metrics`.
    key
        Name of the slots.

    Returns
    -------
    Columns ``group``, ``n_markers`` (int64), ``f_beta``, ``precision``, ``recall`` (float64, from 0 to 1), ``TN``,
    ``FP``, ``FN``, ``TP`` (numbers of cells, int64), ``on_target``, ``binary_score`` (float64, medians over the
    markers). Where a marker does not vary, ``f_beta``, ``precision`` and ``recall`` are NaN and the counts −1: they are
    not defined there.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If the metrics were not computed yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> markers = {"A": ["MARKER0X", "MARKER0Y"]}
    >>> smg.tl.nsforest_metrics(adata, "cell_type", markers=markers)
    >>> table = smg.get.nsforest_metrics(adata).set_index("group")
    >>> bool(table.loc["A", "f_beta"] > 0.9)
    True
    """
    return slots.require(adata, "nsforest", key, "tl.nsforest_metrics").copy()


def spapros_metrics(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Spapros' metrics of the last `tl.spapros_metrics`; panels × metrics, named as in its summary table.

    Parameters
    ----------
    adata
        Annotated data after `tl.spapros_metrics`.
    key
        Name of the slots.

    Returns
    -------
    One row per panel and one column per metric, float64, from 0 to 1, larger is better.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If the metrics were not computed yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> panels = {"markers": ["MARKER0X", "MARKER1X", "MARKER2X"], "noise": ["NOISE9", "NOISE10"]}
    >>> smg.tl.spapros_metrics(adata, "cell_type", genes=panels, metrics=["gene_corr"])
    >>> smg.get.spapros_metrics(adata).index.tolist()
    ['markers', 'noise']
    """
    table = slots.require(adata, "spapros", key, "tl.spapros_metrics")
    wide = table.pivot_table(index="genes", columns="metric", values="value", sort=False, dropna=False)
    return wide.rename_axis(index=None, columns=None)
