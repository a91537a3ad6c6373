"""The colours of classes: those that scanpy stored, else our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.pl._canvas import COLOURS, MARKERS, fills


def stored(adata: AnnData, column: str | None, groups: Sequence[Any]) -> list[str] | None:
    """``adata.uns["…_colors"]`` of the column for these classes; None if it does not hold a colour for each."""
    from matplotlib.colors import is_color_like

    labels, colours = adata.obs.get(column), adata.uns.get(f"{column}_colors")
    if labels is None or colours is None or not isinstance(labels.dtype, pd.CategoricalDtype):
        return None
    by_name = dict(zip(map(str, labels.cat.categories), map(str, colours), strict=False))
    found = [by_name.get(str(group), "") for group in groups]
    return found if all(map(is_color_like, found)) else None


def of_bars(adata: AnnData, column: str | None, groups: Sequence[Any]) -> list[dict[str, Any]]:
    """Face of the bar of each class."""
    colours = stored(adata, column, groups)
    if colours is None:
        return fills(len(groups))
    return [{"facecolor": colour, "edgecolor": "white", "linewidth": 0.3} for colour in colours]


def of_points(adata: AnnData, column: str | None, groups: Sequence[Any]) -> list[dict[str, Any]]:
    """Colour of the cells of each class; of our own eight colours there are eight marks as well."""
    colours = stored(adata, column, groups)
    if colours is not None:
        return [{"color": colour, "marker": "o"} for colour in colours]
    n = len(COLOURS)
    return [{"color": COLOURS[i % n], "marker": MARKERS[i // n % len(MARKERS)]} for i in range(len(groups))]
