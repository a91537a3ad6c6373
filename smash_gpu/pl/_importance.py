"""Importance of genes by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from smash_gpu.annotated import of_models, slots
from smash_gpu.pl._canvas import GENE, GREY, INCHES_PER_GENE, PLAIN, canvas, legend, quiet, room, shown
from smash_gpu.pl._colours import of_bars
from smash_gpu.selection import ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES_PER_COLUMN = 22
MOST_GROUPS = 16  # as fills of eight colours, plain and hatched, that the eye still tells apart in thin parts
BAR_INCHES = 4.5


def importance(adata: AnnData, *, n_genes: int = 20, key: str = slots.KEY, ax: Axes | None = None) -> Axes:
    """The genes with the largest importance summed over the classes, stacked by class.

    Colours are those of ``adata.uns["…_colors"]`` if it holds one for each class. Otherwise, with more than eight
    classes, our eight colours are used again with hatches. Of more than 16 classes, those that are the largest part of
    no bar are one grey part at its end. The legend lists the classes in the order of the stack. The label of each bar
    names the class with the largest part of it, and the size of that part.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.importance`.
    n_genes
        Number of genes to show, the most important on top.
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
        If no genes were scored yet.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, figure 3A.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> ax = smg.pl.importance(adata, n_genes=5)
    >>> len(ax.get_yticklabels())
    5
    """
    scores = np.nan_to_num(np.abs(slots.scores(adata, key)))
    names = adata.var_names.astype(str).to_numpy(dtype=object)
    named = [str(group) for group in slots.require(adata, "groups", key, "tl.smash")]
    genes = ranking.order(scores.sum(axis=0), names)[:n_genes][::-1]
    groups, parts = shown(named), scores[:, genes]
    largest = parts.argmax(axis=0)
    own = np.unique(largest) if len(groups) > MOST_GROUPS else np.arange(len(groups))
    faces = of_bars(adata, slots.recorded(adata, key, "source").get("groupby"), [named[i] for i in own])
    stack, listed = parts[own], [groups[i] for i in own]
    if len(own) < len(groups):
        faces, listed = [*faces, {"facecolor": GREY}], [*listed, f"{len(groups) - len(own)} other classes"]
        stack = np.vstack([stack, np.delete(parts, own, axis=0).sum(axis=0)])
    columns = -(-len(listed) // NAMES_PER_COLUMN)
    ax = ax or canvas(
        BAR_INCHES + room(groups) + room(shown(names[genes])) + columns * (0.5 + room(listed)),
        max(INCHES_PER_GENE * len(genes) + 0.8, 0.15 * min(len(listed), NAMES_PER_COLUMN) + 0.6),
    )
    left, bars = np.zeros(len(genes)), []
    for fill, score in zip(faces, stack, strict=True):
        bars.append(ax.barh(range(len(genes)), score, left=left, height=0.82, **fill))
        left += score
    _name_largest(ax, parts, groups)
    what = f"|consensus of {', '.join(several)}|" if (several := of_models.names(adata, key)) else "|importance|"
    ax.set_xlabel(f"{what}, summed over classes", fontsize=8)
    ax.margins(y=0.01)
    ax.set_xlim(0, left.max() * (1 + (room(groups) + 0.4) / BAR_INCHES) or 1)
    quiet(ax)
    ax.set_yticks(range(len(genes)), shown(names[genes]), **GENE)
    legend(ax, bars, listed, fontsize=7, ncols=columns, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _name_largest(ax: Axes, scores: np.ndarray, groups: list[str]) -> None:
    for row, (total, group) in enumerate(zip(scores.sum(axis=0), scores.argmax(axis=0), strict=True)):
        if total > 0:
            text = f" {groups[group]} {scores[group, row] / total:.0%}"
            ax.text(total, row, text, va="center", fontsize=6.5, color="0.35", **PLAIN)
