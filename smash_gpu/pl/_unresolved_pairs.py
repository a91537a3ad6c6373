"""Pairs of classes that are confused with a list of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.pl._canvas import COLOURS, GROUP, canvas, legend_above, paired, quiet, room

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES_PER_PAIR = 0.3


def unresolved_pairs(
    adata: AnnData,
    *,
    n_pairs: int = 12,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    thin: float | None = None,
    dropout: float | None = None,
    is_random: bool = False,
    key: str = slots.KEY,
    ax: Axes | None = None,
) -> Axes:
    """Pairs of classes that were confused in the last `tl.evaluate`, worst on top.

    Marks are two shares of held-out cells: of the first class predicted as the second, and of the second predicted as
    the first. The bar is their mean.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    n_pairs
        Number of pairs to show.
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
    >>> ax = smg.pl.unresolved_pairs(adata, n_pairs=2)
    >>> len(ax.patches)
    2
    """
    pairs = get.unresolved_pairs(
        adata,
        genes=genes,
        n_genes=n_genes,
        classifier=classifier,
        thin=thin,
        dropout=dropout,
        is_random=is_random,
        key=key,
    )[:n_pairs]
    names = paired(pairs["group"], pairs["other"])
    ax = ax or canvas(room(names) + 4.2, INCHES_PER_PAIR * max(len(names), 2) + 1.0)
    place = range(len(pairs))
    bars = ax.barh(place, 100 * pairs["confusion"], height=0.62, color="0.82")
    marks = [
        ax.plot(100 * pairs[column], place, mark, color=colour, markersize=5, clip_on=False)[0]
        for column, mark, colour in (("group_as_other", "o", COLOURS[0]), ("other_as_group", "D", COLOURS[5]))
    ]
    quiet(ax)
    ax.set_yticks(place, names, **GROUP)
    ax.set_xlabel("held-out cells predicted as the other class (%)", fontsize=8)
    ax.set_xlim(left=0)
    ax.set_ylim(max(len(pairs), 1) - 0.4, -0.6)
    if not len(pairs):
        ax.text(0.5, 0.5, "No pair of classes was confused.", ha="center", va="center", transform=ax.transAxes)
        return ax
    kinds = ("mean", "first predicted as second", "second predicted as first")
    legend_above(ax, [bars, *marks], kinds)
    return ax
