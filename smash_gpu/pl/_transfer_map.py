"""The cells of a tissue where they lie, by class or by error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.pl._canvas import canvas, legend, legend_room, shown
from smash_gpu.pl._colours import of_points
from smash_gpu.runtime.words import did_you_mean, join_names, not_one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PREDICTED, TRUE, ERROR = KINDS = ("predicted", "true", "error")
GREY = "#c8c8c8"
ERRORS = {"right": "#b9cfe4", "wrong": "#D55E00", "not judged": "#e6e6e6"}
HEIGHT = 4.0  # inches
LABEL = 0.3
WIDEST = 9.0
NAMES_PER_COLUMN = 22
DOTS = 40000  # a cell is as large as this, by the number of cells


def transfer_map(
    adata: AnnData,
    color: str = "predicted",
    *,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    basis: str = "spatial",
    key: str = slots.TRANSFER,
    ax: Axes | None = None,
) -> Axes:
    """The cells of the last `tl.transfer` where they lie in the tissue.

    Colours are those of ``adata.uns["…_colors"]`` for the labels of the tissue, if it holds one for each class. As in
    squidpy, the coordinates are ``.obsm["spatial"]``, both axes have one scale, and y runs down.

    Parameters
    ----------
    adata
        The annotated tissue after `tl.transfer`.
    color
        "predicted": the class given to each cell; "true": its label in common classes; "error": right, wrong or not
        judged.
    genes, n_genes, classifier
        The case, as in `get.transfer`.
    basis
        Name of the coordinates in ``.obsm``; cells × 2, the first two columns if there are more.
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
        If there was no transfer yet, or no such case or coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> import smash_gpu as smg
    >>> reference, tissue = smg.datasets.planted(), smg.datasets.planted()
    >>> tissue.obsm["spatial"] = np.random.default_rng(0).random((tissue.n_obs, 2))
    >>> smg.tl.transfer(reference, tissue, "cell_type", genes=["MARKER0X", "MARKER1X"], n_random=0)
    >>> ax = smg.pl.transfer_map(tissue, "error")
    >>> bool(ax.yaxis_inverted())
    True
    """
    if color not in KINDS:
        raise ValueError(not_one_of("color", color, KINDS))
    place = _coordinates(adata, basis)
    cells = get.transfer(adata, "cells", genes=genes, n_genes=n_genes, classifier=classifier, key=key)
    groups = _groups(adata, cells, color, slots.recorded(adata, key, "transfer").get("tissue_groupby"))
    names = shown(name for name, _, _ in groups)
    wide, high = np.ptp(place, axis=0)
    columns = 1 + (len(names) - 1) // NAMES_PER_COLUMN
    map_width = min((HEIGHT - LABEL) * max(wide, 1e-9) / max(high, 1e-9), WIDEST)
    ax = ax or canvas(map_width + legend_room(names, columns) + 2 * LABEL, HEIGHT)
    size = float(np.clip(DOTS / len(place), 1.5, 30))
    handles = []
    for _, mask, look in groups:
        ax.scatter(place[mask, 0], place[mask, 1], s=size, linewidths=0, rasterized=True, **look)
        handles.append(ax.scatter([], [], s=22, linewidths=0, **look))
    ax.set(aspect="equal", anchor="W", xticks=[], yticks=[])
    ax.set_xlabel(f"{basis}1", fontsize=8)
    ax.set_ylabel(f"{basis}2", fontsize=8)
    ax.invert_yaxis()
    ax.spines[:].set_linewidth(0.4)
    legend(ax, handles, names, fontsize=7, ncols=columns, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _coordinates(adata: AnnData, basis: str) -> np.ndarray:
    if basis not in adata.obsm:
        near = did_you_mean(basis, adata.obsm)
        raise NotFoundError(f"adata.obsm has no {basis!r}.{near} There are: {join_names(adata.obsm)}.")
    found = np.asarray(adata.obsm[basis], dtype=np.float64)
    if found.ndim != 2 or found.shape[1] < 2 or not np.isfinite(found[:, :2]).all():
        raise ValueError(f"adata.obsm[{basis!r}] must have two finite coordinates of every cell.")
    return found[:, :2]


def _groups(
    adata: AnnData, cells: pd.DataFrame, color: str, column: str | None
) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """Name, mask and look of each kind of cell, those to be seen last at the end."""
    if color == ERROR:
        wrong, judged = cells["error"].fillna(value=False).to_numpy(bool), cells["error"].notna().to_numpy()
        masks = {"not judged": ~judged, "right": judged & ~wrong, "wrong": wrong}
        return [
            (f"{name} ({mask.sum():,})", mask, {"color": ERRORS[name]}) for name, mask in masks.items() if mask.any()
        ]
    values = cells[color].cat
    looks = of_points(adata, column, values.categories)
    found = [(name, (values.codes == code).to_numpy(), looks[code]) for code, name in enumerate(values.categories)]
    unknown = (values.codes < 0).to_numpy()
    out = [("not judged", unknown, {"color": GREY})] if unknown.any() else []
    return out + [(name, mask, look) for name, mask, look in found if mask.any()]
