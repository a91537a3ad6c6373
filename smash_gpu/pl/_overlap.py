"""Genes that panels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.annotated.features import gene_names
from smash_gpu.genes.lists import Genes
from smash_gpu.pl._canvas import FEWEST_ROWS, GROUP, colour_bar, room, shown, squares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES_PER_PANEL = 0.4


def overlap(
    adata: AnnData,
    panels: Mapping[str, Genes] | None = None,
    *,
    key: str = slots.KEY,
    ax: Axes | None = None,
) -> Axes:
    """Number of genes that each pair of panels shares, with the size of each panel on the diagonal.

    The colour is the share of the smaller panel.

    Parameters
    ----------
    adata
        Annotated data; after `tl.evaluate` if ``panels`` is None.
    panels
        Name → genes. None: the lists that the last `tl.evaluate` judged side by side, or, if it was one list, its
        choices in the splits. A list that was chosen in every split counts with the mean over the splits.
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
        If a gene is not in ``adata``, or ``panels`` is None and `tl.evaluate` has not run yet.
    ValueError
        If ``panels`` is empty.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> ax = smg.pl.overlap(adata, {"a": ["MARKER0X", "MARKER1X"], "b": ["MARKER0X", "NOISE9"]})
    >>> [text.get_text() for text in ax.texts]
    ['2', '1', '1', '2']
    """
    names, shared = _given(adata, panels) if panels is not None else _judged(get.evaluation_panels(adata, key=key))
    sizes = np.diag(shared)
    share = shared / np.maximum(np.minimum(sizes[:, None], sizes), 1)
    labels = shown(names)
    side = INCHES_PER_PANEL * max(len(labels), FEWEST_ROWS) + room(labels)
    ax, image = squares(ax, share, "Purples", side + 1.6, side + 0.4)
    for row, column in np.ndindex(shared.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        ax.text(column, row, f"{shared[row, column]:.3g}", ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(labels)), labels, rotation=90, **GROUP)
    ax.set_yticks(range(len(labels)), labels, **GROUP)
    ax.tick_params(length=2, width=0.5)
    ax.spines[:].set_linewidth(0.4)
    colour_bar(ax, image, "share of the\nsmaller panel")
    return ax


def _given(adata: AnnData, panels: Mapping[str, Genes]) -> tuple[list[str], np.ndarray]:
    if not panels:
        raise ValueError("panels is empty: give at least one list of genes.")
    known = gene_names(adata)
    genes = {str(name): known.numbers(one, f"panels[{name!r}]") for name, one in panels.items()}
    return list(genes), _shared([set(one) for one in genes.values()])


def _judged(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Names, and numbers of shared genes; with several lists the means over the splits."""
    chosen = table.groupby(["genes", "split"], sort=False, observed=True)["name"].agg(set).unstack("split")
    if len(chosen) == 1:
        return [f"split {split + 1}" for split in chosen.columns], _shared(list(chosen.iloc[0]))
    shared = np.mean([_shared(list(chosen[split])) for split in chosen], axis=0)
    return [str(name) for name in chosen.index], shared


def _shared(panels: list[set]) -> np.ndarray:
    return np.array([[len(one & other) for other in panels] for one in panels], dtype=float)
