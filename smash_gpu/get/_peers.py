"""What `tl.nsforest_metrics` and `tl.spapros_metrics` found."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots


def nsforest_metrics(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """NS-Forest's metrics of the last `tl.nsforest_metrics`; a row a group.

    Returns
    -------
    Columns ``group``, ``n_markers``, ``f_beta``, ``precision``, ``recall``, ``TN``, ``FP``, ``FN``, ``TP`` (cells),
    ``on_target``, ``binary_score`` (medians over the markers). Where a marker does not vary, ``f_beta``, ``precision``
    and ``recall`` are NaN and the counts −1: they are not defined there.
    """
    return slots.require(adata, "nsforest", key, "tl.nsforest_metrics").copy()


def spapros_metrics(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Spapros' metrics of the last `tl.spapros_metrics`; panels × metrics, named as in its summary table."""
    table = slots.require(adata, "spapros", key, "tl.spapros_metrics")
    wide = table.pivot_table(index="genes", columns="metric", values="value", sort=False, dropna=False)
    return wide.rename_axis(index=None, columns=None)
