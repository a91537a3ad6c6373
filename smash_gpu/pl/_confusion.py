"""True against predicted classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.pl._canvas import FEWEST_ROWS, GREY, GROUP, colour_bar, room, shown, squares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES_PER_CELL = 0.26
SMALLEST_PRINTED = 0.005


def confusion(
    adata: AnnData,
    *,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    thin: float | None = None,
    dropout: float | None = None,
    is_random: bool = False,
    key: str = slots.KEY,
    ax: Axes | None = None,
) -> Axes:
    """Held-out cells of the last `tl.evaluate`: share of each true class (rows) predicted as each class (columns).

    The numbers are in %; those below half a percent are left out. The row of a class that was not judged (see
    `tl.evaluate`) is grey.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    genes, n_genes, classifier, thin, dropout, is_random
        The case, as in `get.evaluation`.
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
        If `tl.evaluate` has not run yet, or it had no such case.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=1)
    >>> ax = smg.pl.confusion(adata)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('predicted', 'true')
    """
    counts = get.confusion(
        adata,
        genes=genes,
        n_genes=n_genes,
        classifier=classifier,
        thin=thin,
        dropout=dropout,
        is_random=is_random,
        key=key,
    )
    return drawn(counts, ax)


def drawn(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Numbers of cells, true × predicted classes, in % of the true class; rows without cells are grey."""
    cells = counts.to_numpy().sum(axis=1, keepdims=True)
    share = np.divide(counts.to_numpy(), cells, out=np.full(counts.shape, np.nan), where=cells > 0)
    groups = shown(counts.columns)
    names = dict(zip(counts.columns, groups, strict=True))
    size = INCHES_PER_CELL * max(len(groups), FEWEST_ROWS) + room(groups)
    ax, image = squares(ax, share, "Blues", size + 1.7, size + 0.6)
    ax.set_facecolor(GREY)  # shows where there is no share
    for row, column in zip(*np.nonzero(share >= SMALLEST_PRINTED), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        ax.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(len(groups)), groups, rotation=90, **GROUP)
    ax.set_yticks(range(len(counts)), [names[group] for group in counts.index], **GROUP)
    ax.tick_params(length=2, width=0.5)
    ax.spines[:].set_linewidth(0.4)
    ax.set_xlabel("predicted", fontsize=8)
    ax.set_ylabel("true", fontsize=8)
    colour_bar(ax, image, "share of the\ntrue class", format="{x:.0%}")
    return ax
