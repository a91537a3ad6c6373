"""Markers × classes: mean expression, and share of cells that express the gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.pl._canvas import (
    COLOURS,
    FEWEST_ROWS,
    GENE,
    GROUP,
    INCHES_PER_GENE,
    INCHES_PER_GROUP,
    NARROWEST,
    canvas,
    colour_bar,
    legend_above,
    room,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
LARGEST_DOT = 110.0  # square points
INK = "0.25"
FRAMED = "markers of the class"


@dataclass(frozen=True)
class Blocks:
    """The markers of one class after the other.

    Attributes
    ----------
    groups
        Names of the classes.
    genes
        Names of the markers; a marker of several classes occurs several times.
    ends
        Number of markers up to and including each class.
    mean
        Mean expression, classes × markers, each marker scaled from 0 to 1 over the classes.
    columns
        Positions of the markers among the genes.
    """

    groups: list[str]
    genes: list[str]
    ends: np.ndarray
    mean: np.ndarray
    columns: np.ndarray


def markers(
    adata: AnnData, *, n_top: int | None = None, swap_axes: bool = False, key: str = slots.KEY, ax: Axes | None = None
) -> Axes:
    """Mean expression of the markers in every class, each gene scaled from 0 to 1.

    Frames show the markers of each class.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.rank_markers`.
    n_top
        Markers per class; None for all.
    swap_axes
        Whether genes are in rows; useful for many genes.
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
        If no markers were ranked yet.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, figures 3B and 4.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> ax = smg.pl.markers(adata, n_top=2)
    >>> len(ax.get_xticklabels())
    6
    """
    return draw_matrix(_blocks(adata, n_top, key), ax, framed=FRAMED, swap_axes=swap_axes)


def draw_matrix(blocks: Blocks, ax: Axes | None, *, framed: str, swap_axes: bool) -> Axes:
    """Mean expression as colours; ``framed`` says what the frames are."""
    ax = ax or _canvas(blocks, swap_axes=swap_axes)
    from matplotlib.patches import Rectangle

    image = ax.imshow(blocks.mean.T if swap_axes else blocks.mean, aspect="auto", cmap="Reds", vmin=0, vmax=1)
    _name_axes(ax, blocks, swap_axes=swap_axes)
    _frame_own(ax, blocks, swap_axes=swap_axes, color=COLOURS[0], linewidth=1.4)  # seen on dark and on pale red
    legend_above(ax, [Rectangle((0, 0), 1, 1, fill=False, edgecolor=COLOURS[0], linewidth=1.4)], [framed])
    colour_bar(ax, image, "mean expression,\nscaled")
    return ax


def dotplot(
    adata: AnnData, *, n_top: int | None = None, swap_axes: bool = False, key: str = slots.KEY, ax: Axes | None = None
) -> Axes:
    """Dot plot of the markers: size is the share of cells that express the gene, colour the mean expression.

    The mean expression of each gene is scaled from 0 to 1. Frames show the markers of each class.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.rank_markers`.
    n_top
        Markers per class; None for all.
    swap_axes
        Whether genes are in rows; useful for many genes.
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
        If no markers were ranked yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> ax = smg.pl.dotplot(adata, n_top=2)
    >>> len(ax.get_xticklabels())
    6
    """
    blocks = _blocks(adata, n_top, key)
    share = slots.profile(adata, "fraction", key)[:, blocks.columns]
    return draw_dots(blocks, share, ax, framed=FRAMED, swap_axes=swap_axes)


def draw_dots(blocks: Blocks, share: np.ndarray, ax: Axes | None, *, framed: str, swap_axes: bool) -> Axes:
    """Mean expression as colours, share of cells (classes × markers) as sizes; ``framed`` says what the frames are."""
    ax = ax or _canvas(blocks, swap_axes=swap_axes)
    row, column = (place.ravel() for place in np.indices(share.shape))
    x, y = (row, column) if swap_axes else (column, row)
    dots = ax.scatter(
        x, y, s=LARGEST_DOT * share.ravel(), c=blocks.mean.ravel(), cmap="Reds", vmin=0, vmax=1, edgecolors=INK,
        linewidths=0.3,
    )  # fmt: skip
    ax.set(xlim=(-0.5, x.max(initial=0) + 0.5), ylim=(y.max(initial=0) + 0.5, -0.5))
    _name_axes(ax, blocks, swap_axes=swap_axes)
    _frame_own(ax, blocks, swap_axes=swap_axes, color=INK, linewidth=0.7)
    colour_bar(ax, dots, "mean expression,\nscaled")
    _explain_sizes(ax, framed)
    return ax


def _blocks(adata: AnnData, n_top: int | None, key: str) -> Blocks:
    wanted, names = get.markers_dict(adata, n_top, key=key), adata.var_names.astype(str)
    groups = [str(g) for g in slots.require(adata, "groups", key, "tl.smash")]
    own = [[gene for gene in wanted.get(group, []) if gene in names] for group in groups]  # others are gone, as is said
    genes = [gene for markers in own for gene in markers]
    columns = names.get_indexer(genes)
    scaled = scaled_by_gene(slots.profile(adata, "mean", key)[:, columns])
    return Blocks(shown(groups), [*map(str, genes)], np.cumsum([*map(len, own)]), scaled, columns)


def scaled_by_gene(mean: np.ndarray) -> np.ndarray:
    """Each gene from 0 to 1 over the classes (rows)."""
    low, high = mean.min(axis=0), mean.max(axis=0)
    return (mean - low) / np.where(high > low, high - low, 1)


def _canvas(blocks: Blocks, *, swap_axes: bool) -> Axes:
    genes, groups = INCHES_PER_GENE * len(blocks.genes), INCHES_PER_GROUP * len(blocks.groups)
    by_gene, by_group = room(shown(blocks.genes)), room(blocks.groups)
    across, down, left, below = (groups, genes, by_gene, by_group) if swap_axes else (genes, groups, by_group, by_gene)
    return canvas(max(across, NARROWEST) + left + 1.4, max(down, FEWEST_ROWS * INCHES_PER_GROUP) + below + 0.6)


def _name_axes(ax: Axes, blocks: Blocks, *, swap_axes: bool) -> None:
    across, down = (blocks.groups, shown(blocks.genes)) if swap_axes else (shown(blocks.genes), blocks.groups)
    ax.set_xticks(range(len(across)), across, rotation=90, **(GROUP if swap_axes else GENE))
    ax.set_yticks(range(len(down)), down, **(GENE if swap_axes else GROUP))
    ax.tick_params(length=2, width=0.5)
    ax.spines[:].set_linewidth(0.4)


def _frame_own(ax: Axes, blocks: Blocks, *, swap_axes: bool, color: str, linewidth: float) -> None:
    from matplotlib.patches import Rectangle

    starts = [0, *blocks.ends[:-1]]
    for place, (start, end) in enumerate(zip(starts, blocks.ends, strict=True)):
        if start == end:
            continue
        corner, size = (start - 0.5, place - 0.5), (end - start, 1)
        if swap_axes:
            corner, size = corner[::-1], size[::-1]
        ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=linewidth))


def _explain_sizes(ax: Axes, framed: str) -> None:
    handles = [ax.scatter([], [], s=LARGEST_DOT * share, color="white", edgecolors=INK) for share in SHARES]
    title = {"title": f"cells that express the gene; frames: {framed}", "title_fontproperties": {"size": 7}}
    legend_above(ax, handles, [f"{share:.0%}" for share in SHARES], **title)
