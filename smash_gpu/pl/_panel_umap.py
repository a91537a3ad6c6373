"""Do the genes of a panel show the cells as all genes do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read, read_all
from smash_gpu.panel.request import MIN_CELLS
from smash_gpu.pl._canvas import canvas, legend, legend_room, shown
from smash_gpu.pl._colours import of_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READ = ("layer", "use_raw", "normalize", "gene_symbols", "device")
N_COMPONENTS = 50
ROWS = 20  # of the legend
GAP = 0.12  # between the two maps, each of width and height 1
TITLE: dict[str, Any] = {"fontsize": 9, "ha": "center", "va": "bottom"}


def panel_umap(
    adata: AnnData,
    *,
    max_cells: int = 3000,
    random_state: int = 0,
    key: str = slots.PANEL,
    ax: Axes | None = None,
) -> Axes:
    """UMAP of the cells by all genes, and beside it by the genes of the last `tl.panel` alone.

    scanpy's ``pp.pca``, ``pp.neighbors`` and ``tl.umap`` with their defaults, on log-normalised expression; the
    existing panel that was extended is not among the genes. Colours are those of ``adata.uns["…_colors"]`` if they are
    there.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    max_cells
        Most cells to draw, at random.
    random_state
        Seed of the choice of cells and of scanpy.
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
    ImportError
        If scanpy is not installed.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=6)
    >>> ax = smg.pl.panel_umap(adata)
    >>> [text.get_text() for text in ax.texts]
    ['all 60 genes', '6 genes of the panel']
    """
    source = slots.recorded(adata, key, "panel")
    column = next(iter(slots.require(adata, "crowding", key, "tl.panel")["column"].astype(str)))
    how = {name: source[name] for name in source if name in READ}
    labelled = {"groupby": column, "min_cells": source.get("min_cells") or MIN_CELLS}
    data = read(adata, how | labelled) if column else read_all(adata, how)
    kept = np.random.default_rng(random_state).permutation(data.cells)[:max_cells]
    data = data.only(np.sort(kept))
    X = data.host_expression(np.arange(len(data.names)))
    panel = np.isin(data.names.astype(str), get.panel(adata, key=key))
    columns = 1 + len(data.groups) // ROWS
    ax = ax or canvas(7.2 + legend_room(shown(data.groups), columns), 3.9)
    looks = of_points(adata, column, data.groups.tolist())
    maps = {f"all {len(data.names):,} genes": X, f"{panel.sum():,} genes of the panel": X[:, panel]}
    for number, (title, values) in enumerate(maps.items()):
        _draw(ax, _umap(values, random_state), data.labels, number * (1 + GAP), looks)
        ax.text(0.5 + number * (1 + GAP), 1.02, title, **TITLE)
    ax.set(xlim=(-0.03, 2.03 + GAP), ylim=(-0.03, 1.1), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    handles = [ax.scatter([], [], s=22, linewidths=0, **look) for look in looks]
    legend(ax, handles, shown(data.groups), fontsize=7, ncols=columns, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _umap(X: np.ndarray, random_state: int) -> np.ndarray:
    """Two coordinates per cell, from 0 to 1."""
    try:
        import scanpy as sc
    except ImportError:
        raise ImportError("panel_umap needs scanpy: pip install scanpy.") from None
    cells = AnnData(X)
    n_components = min(N_COMPONENTS, *(size - 1 for size in X.shape))
    if n_components > 1:
        sc.pp.pca(cells, n_comps=n_components, random_state=random_state)
    sc.pp.neighbors(cells, use_rep="X_pca" if n_components > 1 else "X", random_state=random_state)
    sc.tl.umap(cells, random_state=random_state)
    found = cells.obsm["X_umap"]
    low, high = found.min(axis=0), found.max(axis=0)
    return (found - low) / np.maximum(high - low, 1e-12)


def _draw(ax: Axes, place: np.ndarray, group: np.ndarray, shift: float, looks: list[dict[str, Any]]) -> None:
    """Cells of each class in a colour of its own."""
    size = float(np.clip(6000 / len(place), 3, 16))
    for code, look in enumerate(looks):
        x, y = place[group == code].T
        ax.scatter(x + shift, y, s=size, linewidths=0, alpha=0.8, **look)
