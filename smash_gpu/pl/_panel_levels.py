"""Counts of a panel: in every class against the cap, and of every gene in the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.pl._canvas import (
    COLOURS,
    GENE,
    GROUP,
    INCHES_PER_GENE,
    INCHES_PER_GROUP,
    canvas,
    legend_above,
    quiet,
    room,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = "#9FC5DD"
NAMED_GENES = 150  # more than these are drawn without names


def panel_crowding(adata: AnnData, *, key: str = slots.PANEL, ax: Axes | None = None) -> Axes:
    """Transcripts per cell of the whole panel in every class, fullest first, and the cap where there is one.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`, or after `tl.validate` with ``key="smash_validation"``.
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
        If no panel was designed yet, or counts per cell are not known.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=3, max_transcripts=50)
    >>> ax = smg.pl.panel_crowding(adata)
    >>> len(ax.get_yticklabels())
    3
    """
    table = slots.require(adata, "crowding", key, "tl.panel")
    _need_counts(table["transcripts"])
    table = table.sort_values("transcripts", ascending=False, kind="stable")
    several = table["column"].nunique() > 1
    pairs = zip(table["column"].astype(str), table["class"].astype(str), strict=True)
    names = shown(f"{column}: {name}" if several else name for column, name in pairs)
    ax = ax or canvas(room(names) + 4.2, INCHES_PER_GROUP * max(len(names), 3) + 1.1)
    rows, limit = np.arange(len(table)), table["limit"].to_numpy(dtype=float)
    bars = ax.barh(rows, table["transcripts"], color=BAR, height=0.7)
    handles: list[Any] = [bars]
    kinds = ["panel"]
    if np.isfinite(limit).any():
        handles += ax.plot(limit, rows, "|", color=COLOURS[5], markersize=11, markeredgewidth=2)
        kinds.append("limit")
    ax.set_yticks(rows, names, **GROUP)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, 1.06 * max(table["transcripts"].max(), np.nanmax([*limit, 0.0]), 1e-9))
    ax.set_xlabel("transcripts per cell, mean counts of the whole panel", fontsize=8)
    quiet(ax)
    legend_above(ax, handles, kinds)
    return ax


def panel_levels(adata: AnnData, *, key: str = slots.PANEL, ax: Axes | None = None) -> Axes:
    """Counts per cell of every gene of the panel, in the class with the most and over all cells, brightest first.

    Lines show the limits on either, if there are any.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`, or after `tl.validate` with ``key="smash_validation"``.
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
        If no panel was designed yet, or counts per cell are not known.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=5, max_counts=(None, 30))
    >>> ax = smg.pl.panel_levels(adata)
    >>> len(ax.get_xticklabels())
    5
    """
    genes = slots.require(adata, "genes", key, "tl.panel")
    _need_counts(genes.get("max_counts", pd.Series(dtype=float)))
    genes = genes[genes["max_counts"].notna()].sort_values("max_counts", ascending=False, kind="stable")
    ax = ax or canvas(max(5.0, min(INCHES_PER_GENE * len(genes), 28.0) + 1.0), 3.6)
    place, kinds = np.arange(len(genes)), {"max_counts": "class with the most", "mean_counts": "all cells"}
    ax.set_yscale("log")
    marks = [
        ax.plot(place, genes[what].where(genes[what] > 0), mark, color=colour, markersize=4.5)[0]
        for what, mark, colour in zip(kinds, "o_", (COLOURS[0], COLOURS[7]), strict=True)
    ]
    names = [*kinds.values(), *_limits(ax, adata, key)]
    _name_genes(ax, shown(genes["name"].astype(str)))
    ax.set_xlim(-0.8, max(len(genes), 1) - 0.2)
    ax.set_ylabel("counts per cell", fontsize=8)
    for numbers in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        numbers(_plain)
    quiet(ax)
    legend_above(ax, [*marks, *ax.lines[len(marks) :]], names, ncols=4)
    return ax


def _plain(value: float, _: float | None) -> str:
    """0.5, not 5 × 10⁻¹; of the numbers between powers of ten only the first few."""
    return f"{value:g}" if f"{value:.0e}"[0] in "1235" else ""


def _limits(ax: Axes, adata: AnnData, key: str) -> list[str]:
    """Draw the ends of the windows; returns what each line is."""
    step = "panel" if key == slots.PANEL or "curve" in adata.uns[key] else "validation"
    options, names = slots.recorded(adata, key, step), []
    for what, colour in (("max_counts", COLOURS[0]), ("mean_counts", COLOURS[7])):
        for end in options.get(what) or ():
            if end is not None and np.isfinite(end) and end > 0:
                ax.axhline(end, color=colour, linestyle="--", linewidth=1)
                names.append(f"{what} {end:g}")
    return names


def _name_genes(ax: Axes, names: list[str]) -> None:
    if len(names) <= NAMED_GENES:
        ax.set_xticks(range(len(names)), names, rotation=90, **GENE)
    else:
        ax.set_xlabel(f"{len(names):,} genes, brightest first", fontsize=8)


def _need_counts(values: pd.Series) -> None:
    if not values.notna().any():
        raise NotFoundError("counts per cell are not known, since the data are log-normalised; use raw counts.")
