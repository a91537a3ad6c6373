"""The genes of a designed panel in every class: mean expression, and share of cells that express them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.pl._canvas import GROUP, NO_CLASSES, shown
from smash_gpu.pl._markers import Blocks, draw_dots, draw_matrix, scaled_by_gene
from smash_gpu.runtime.words import not_one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMED = "highest in the class"


def panel_heatmap(
    adata: AnnData,
    *,
    column: str | None = None,
    n_genes: int | None = None,
    swap_axes: bool = False,
    key: str = slots.PANEL,
    ax: Axes | None = None,
) -> Axes:
    """Mean expression of the genes of the last `tl.panel` in every class, each gene scaled from 0 to 1.

    Genes are next to the class in which they are highest, in the order of choice; frames show these blocks.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    column
        One of the label columns, which the figure then names; None for the first.
    n_genes
        Only the first genes in the order of choice; None for all.
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
        If no panel was designed yet, or not for this column.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=6)
    >>> ax = smg.pl.panel_heatmap(adata)
    >>> len(ax.get_xticklabels()), len(ax.get_yticklabels())
    (6, 3)
    """
    blocks, _, label = _blocks(adata, column, n_genes, key)
    return _labelled(draw_matrix(blocks, ax, framed=FRAMED, swap_axes=swap_axes), label, swap_axes=swap_axes)


def panel_dotplot(
    adata: AnnData,
    *,
    column: str | None = None,
    n_genes: int | None = None,
    swap_axes: bool = False,
    key: str = slots.PANEL,
    ax: Axes | None = None,
) -> Axes:
    """Dot plot of the genes of the last `tl.panel`: size is the share of cells that express the gene, colour the mean.

    The mean expression of each gene is scaled from 0 to 1. Genes are next to the class in which they are highest, in
    the order of choice; frames show these blocks.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    column
        One of the label columns, which the figure then names; None for the first.
    n_genes
        Only the first genes in the order of choice; None for all.
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
        If no panel was designed yet, or not for this column.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=6)
    >>> ax = smg.pl.panel_dotplot(adata, n_genes=4)
    >>> len(ax.get_xticklabels())
    4
    """
    blocks, share, label = _blocks(adata, column, n_genes, key)
    return _labelled(draw_dots(blocks, share, ax, framed=FRAMED, swap_axes=swap_axes), label, swap_axes=swap_axes)


def _labelled(ax: Axes, label: str, *, swap_axes: bool) -> Axes:
    (ax.set_xlabel if swap_axes else ax.set_ylabel)(label, **GROUP)
    return ax


def _blocks(adata: AnnData, column: str | None, n_genes: int | None, key: str) -> tuple[Blocks, np.ndarray, str]:
    """The genes by the class in which they are highest, the share of cells that express them, and one of the columns.

    The name of the column is empty where it is the only one.
    """
    genes = get.panel(adata, key=key)[:n_genes]
    classes = get.panel_table(adata, "crowding", key=key)
    columns = list(dict.fromkeys(classes["column"].astype(str)))
    if columns == [""]:
        raise NotFoundError(NO_CLASSES)
    column = columns[0] if column is None else column
    if column not in columns:
        raise NotFoundError(not_one_of("column", column, columns))
    rows = np.flatnonzero(classes["column"].astype(str) == column)
    mean, share = (
        np.asarray(slots.require(adata, name, key, "tl.panel"))[rows][:, : len(genes)]
        for name in ("class_mean", "class_fraction")
    )
    highest = mean.argmax(axis=0)
    order = np.argsort(highest, kind="stable")
    ends = np.searchsorted(highest[order], np.arange(len(rows)), side="right")
    names = shown(classes["class"].astype(str).iloc[rows])
    blocks = Blocks(names, [genes[i] for i in order], ends, scaled_by_gene(mean[:, order]), order)
    return blocks, share[:, order], column if len(columns) > 1 else ""
