"""What a panel resolves: by number of genes, and for each pair of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.pl._canvas import (
    COLOURS,
    FEWEST_ROWS,
    GREY,
    GROUP,
    INCHES_PER_GROUP,
    NO_CLASSES,
    canvas,
    colour_bar,
    legend,
    legend_above,
    paired,
    quiet,
    room,
    shown,
    squares,
)
from smash_gpu.runtime.words import not_one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

INCHES_PER_PAIR = 0.22


def panel_curve(adata: AnnData, *, key: str = slots.PANEL, ax: Axes | None = None) -> Axes:
    """Size against resolution of the last `tl.panel`, and the share of pairs of classes that are half resolved.

    The dotted line is left out where the upper bound is what all genes resolve, and so says nothing; under
    caps this may be all sizes but the last. If the panel was chosen by the variation too, its share is a fourth line.
    Without classes this share and an upper bound on it are all there is.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    key
        Name of the slots.
    ax
        Axes to draw on; None for a new figure of fitting size.

    Returns
    -------
    The axes, which `matplotlib.axes.Axes.figure` saves.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> ax = smg.pl.panel_curve(adata)
    >>> ax.get_xlabel()
    'number of genes'
    """
    curve = get.panel_table(adata, "curve", key=key)
    ax = ax or canvas(6, 4)
    lines, names = (_resolution if "resolution" in curve else _of_variation)(ax, curve)
    ax.set(xlim=(0, curve["n_genes"].max()), ylim=(0, 1.02))
    ax.set_xlabel("number of genes", fontsize=8)
    ax.set_ylabel("share", fontsize=8)
    quiet(ax)
    legend(ax, lines, names, fontsize=8, loc="lower right")
    return ax


def _of_variation(ax: Axes, curve: pd.DataFrame) -> tuple[list[Line2D], list[str]]:
    n = curve["n_genes"]
    lines = [
        *ax.plot(n, curve["variation"], color=COLOURS[2]),
        *ax.plot(n, curve["variation_bound"], color=COLOURS[2], linestyle=":"),
    ]
    return lines, ["of the variation: explained", "at most, by any genes"]


def _resolution(ax: Axes, curve: pd.DataFrame) -> tuple[list[Line2D], list[str]]:
    n, later = curve["n_genes"], curve[1:]
    is_known = (later["bound"] < 1) | later["bound"].isna() | (later["of_bound"] >= 1)
    of_bound = later["of_bound"].where(is_known)
    dots: dict[str, Any] = {
        "linestyle": ":",
        "linewidth": 2,
        "marker": "o",
        "markersize": 4,
        "markevery": [-1],
    }  # alone
    lines = [
        *ax.plot(n, curve["resolution"], color=COLOURS[7]),
        *ax.plot(n, curve["half_resolved"], color=COLOURS[0]),
        *ax.plot(later["n_genes"], of_bound, color=COLOURS[1], clip_on=False, **dots),
    ]
    names = [
        "of what all genes together resolve",
        "of the pairs of classes: more than half resolved",
        "of the best panel of that size, at least",
    ]
    if "variation" in curve:
        lines += ax.plot(n, curve["variation"], color=COLOURS[2])
        names.append("of the variation: explained")
    return lines, names


def panel_pairs(
    adata: AnnData, *, column: str | None = None, n_pairs: int = 25, key: str = slots.PANEL, ax: Axes | None = None
) -> Axes:
    """The pairs of classes that the last `tl.panel` resolves least, and what the best genes for each pair would reach.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    column
        One of the label columns; None for all.
    n_pairs
        Number of pairs to show.
    key
        Name of the slots.
    ax
        Axes to draw on; None for a new figure of fitting size.

    Returns
    -------
    The axes, which `matplotlib.axes.Axes.figure` saves.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or not for this column.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> ax = smg.pl.panel_pairs(adata, n_pairs=2)
    >>> len(ax.get_yticklabels())
    2
    """
    pairs = _of_column(get.panel_table(adata, "pairs", key=key), column).head(n_pairs)
    names = paired(pairs["class_a"], pairs["class_b"])
    ax = ax or canvas(room(names) + 4.2, INCHES_PER_PAIR * max(len(names), 2) + 1.2)
    rows = range(len(pairs))
    bars = ax.barh(rows, 1 - pairs["resolved"], color=GREY, height=0.7)
    marks = ax.plot(1 - pairs["possible"], rows, "|", color=COLOURS[5], markersize=9, markeredgewidth=1.8)
    ax.set_yticks(rows, names, **GROUP)
    ax.set_xlabel("unresolved share of the pair", fontsize=8)
    ax.set_xlim(0, 1)
    ax.set_ylim(len(pairs) - 0.4, -0.6)
    quiet(ax)
    kinds = ("this panel", "best genes for this pair alone")
    legend_above(ax, [bars, *marks], kinds)
    return ax


def panel_resolution(
    adata: AnnData, *, column: str | None = None, key: str = slots.PANEL, ax: Axes | None = None
) -> Axes:
    """The unresolved share of each pair of classes, classes × classes.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    column
        One of the label columns; None for the first.
    key
        Name of the slots.
    ax
        Axes to draw on; None for a new figure of fitting size.

    Returns
    -------
    The axes, which `matplotlib.axes.Axes.figure` saves.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or not for this column.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> ax = smg.pl.panel_resolution(adata)
    >>> len(ax.get_yticklabels())
    3
    """
    pairs = get.panel_table(adata, "pairs", key=key)
    pairs = _of_column(pairs, pairs["column"].cat.categories[0] if column is None else column)
    classes = sorted({*map(str, pairs["class_a"]), *map(str, pairs["class_b"])})
    a, b = (pd.Index(classes).get_indexer(pairs[name].astype(str)) for name in ("class_a", "class_b"))
    share = np.full((len(classes), len(classes)), np.nan)
    share[a, b] = share[b, a] = 1 - pairs["resolved"]
    names = shown(classes)
    side = INCHES_PER_GROUP * max(len(names), FEWEST_ROWS) + room(names)
    ax, image = squares(ax, share, "Reds", side + 1.5, side + 0.5)
    ax.set_xticks(range(len(names)), names, rotation=90, **GROUP)
    ax.set_yticks(range(len(names)), names, **GROUP)
    colour_bar(ax, image, "unresolved share\nof the pair")
    return ax


def _of_column(pairs: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """The pairs of one column, or all.

    Raises
    ------
    NotFoundError
        If there is no such column, or the panel has no classes.
    """
    if not len(pairs):
        raise NotFoundError(NO_CLASSES)
    if column is None:
        return pairs
    known = [str(name) for name in pairs["column"].unique()]
    if column not in known:
        raise NotFoundError(not_one_of("column", column, known))
    return pairs[pairs["column"] == column]
