"""Figures; each returns the matplotlib ``Axes`` it drew on and takes ``ax=``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get, ranking, slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES_PER_GENE = 0.22
INCHES_PER_GROUP = 0.28


def markers(adata: AnnData, *, n_top: int | None = None, key: str = slots.KEY, ax: Axes | None = None) -> Axes:
    """Mean expression of the markers in every group, each gene scaled from 0 to 1 (paper, figures 3B and 4).

    Parameters
    ----------
    n_top
        Markers a group; None for all.
    """
    wanted = get.markers_dict(adata, n_top, key=key)
    groups = [str(g) for g in slots.require(adata, "groups", key, "tl.smash")]
    names = [gene for group in groups for gene in wanted.get(group, [])]
    columns = adata.var_names.astype(str).get_indexer(names)
    mean = np.asarray(adata.varm[f"{key}_mean"])[columns].T
    low, high = mean.min(axis=0), mean.max(axis=0)
    ax = ax or _axes(INCHES_PER_GENE * len(names) + 3, INCHES_PER_GROUP * len(groups) + 2)
    image = ax.imshow((mean - low) / np.where(high > low, high - low, 1), aspect="auto", cmap="Reds", vmin=0, vmax=1)
    ends = np.cumsum([len(wanted.get(group, [])) for group in groups])
    for end in ends[:-1]:
        ax.axvline(end - 0.5, color="0.3", linewidth=0.6)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=8, fontstyle="italic")
    ax.set_yticks(range(len(groups)), groups, fontsize=8)
    _colour_bar(ax, image, "mean expression, scaled")
    return ax


def importance(adata: AnnData, *, n_genes: int = 20, key: str = slots.KEY, ax: Axes | None = None) -> Axes:
    """The genes with the largest importance summed over the groups, stacked by group (paper, figure 3A)."""
    scores = np.nan_to_num(np.abs(slots.scores(adata, key)))
    names = adata.var_names.astype(str).to_numpy(dtype=object)
    groups = [str(g) for g in slots.require(adata, "groups", key, "tl.smash")]
    genes = ranking.order(scores.sum(axis=0), names)[:n_genes][::-1]
    ax = ax or _axes(6 + 2 * (len(groups) > 12), INCHES_PER_GENE * len(genes) + 1.2)
    left = np.zeros(len(genes))
    for group, colour, score in zip(groups, _colours(len(groups)), scores[:, genes], strict=True):
        ax.barh(range(len(genes)), score, left=left, color=colour, label=group, height=0.8)
        left += score
    ax.set_yticks(range(len(genes)), names[genes], fontsize=8, fontstyle="italic")
    ax.set_xlabel("|importance|, summed over groups")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, frameon=False, ncols=1 + (len(groups) > 12), loc="lower right")
    return ax


def confusion(adata: AnnData, *, key: str = slots.KEY, ax: Axes | None = None) -> Axes:
    """Held-out cells of the last `tl.evaluate`: share of each true group (rows) predicted as each group (columns)."""
    counts = get.confusion(adata, key=key)
    share = counts.to_numpy() / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    n = len(counts)
    ax = ax or _axes(INCHES_PER_GROUP * 1.4 * n + 3, INCHES_PER_GROUP * 1.4 * n + 2)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        ax.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(n), counts.columns, rotation=90, fontsize=8)
    ax.set_yticks(range(n), counts.index, fontsize=8)
    ax.set(xlabel="predicted", ylabel="true")
    _colour_bar(ax, image, "share of the true group (numbers in %)")
    return ax


def _axes(width: float, height: float) -> Axes:
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained").add_subplot()


def _colours(n: int) -> list:
    from matplotlib import colormaps

    return (
        [colormaps["tab20"](i) for i in range(n)] if n <= 20 else list(colormaps["nipy_spectral"](np.linspace(0, 1, n)))
    )


def _colour_bar(ax: Axes, image: object, label: str) -> None:
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def panel_curve(adata: AnnData, *, key: str = slots.PANEL, ax: Axes | None = None) -> Axes:
    """Size against resolution of the last `tl.panel`, from its one greedy run, and the share of pairs half resolved."""
    curve = get.panel_table(adata, "curve", key=key)
    ax = ax or _axes(6, 4)
    ax.plot(curve["n_genes"], curve["resolution"], color="black", label="resolution (F over F of all genes)")
    ax.plot(curve["n_genes"], curve["half_resolved"], color="tab:blue", label="pairs of classes resolved by half")
    ax.plot(
        curve["n_genes"][1:], curve["of_bound"][1:], color="0.6", linestyle=":", label="of what is possible, at least"
    )
    ax.set(xlabel="genes", xlim=(0, curve["n_genes"].max()), ylim=(0, 1.02))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


def panel_pairs(
    adata: AnnData, *, column: str | None = None, n_pairs: int = 25, key: str = slots.PANEL, ax: Axes | None = None
) -> Axes:
    """The pairs of classes that the last `tl.panel` resolves least, and what the best genes for each could do.

    Parameters
    ----------
    column
        One of the label columns; None for all.
    n_pairs
        How many pairs.
    """
    pairs = get.panel_table(adata, "pairs", key=key)
    pairs = _of_column(pairs, column).head(n_pairs).iloc[::-1]
    ax = ax or _axes(7, INCHES_PER_GENE * len(pairs) + 1.2)
    rows = range(len(pairs))
    ax.barh(rows, 1 - pairs["resolved"], color="tab:red", height=0.7, label="unresolved")
    ax.plot(
        1 - pairs["possible"],
        rows,
        "|",
        color="black",
        markersize=9,
        markeredgewidth=1.5,
        label="with the best genes for this pair alone",
    )
    ax.set_yticks(rows, pairs["class_a"].astype(str) + " | " + pairs["class_b"].astype(str), fontsize=8)
    ax.set(xlabel="unresolved share of the pair, exp(−D / τ)", xlim=(0, 1), ylim=(-1, len(pairs)))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


def panel_resolution(
    adata: AnnData, *, column: str | None = None, key: str = slots.PANEL, ax: Axes | None = None
) -> Axes:
    """The unresolved share of every pair of classes, classes × classes.

    Parameters
    ----------
    column
        One of the label columns; None for the first.
    """
    pairs = get.panel_table(adata, "pairs", key=key)
    pairs = _of_column(pairs, pairs["column"].cat.categories[0] if column is None else column)
    names = [str(name) for name in dict.fromkeys([*pairs["class_a"], *pairs["class_b"]])]
    names.sort()
    place = {name: number for number, name in enumerate(names)}
    share = np.full((len(names), len(names)), np.nan)
    for a, b, resolved in zip(pairs["class_a"], pairs["class_b"], pairs["resolved"], strict=True):
        share[place[str(a)], place[str(b)]] = share[place[str(b)], place[str(a)]] = 1 - resolved
    n = len(names)
    ax = ax or _axes(INCHES_PER_GROUP * n + 3, INCHES_PER_GROUP * n + 2)
    image = ax.imshow(share, cmap="Reds", vmin=0, vmax=1)
    ax.set_xticks(range(n), names, rotation=90, fontsize=8)
    ax.set_yticks(range(n), names, fontsize=8)
    _colour_bar(ax, image, "unresolved share of the pair")
    return ax


def _of_column(pairs: pd.DataFrame, column: str | None) -> pd.DataFrame:
    if column is None:
        return pairs
    known = [str(name) for name in pairs["column"].unique()]
    if column not in known:
        raise KeyError(f"the panel was not chosen for the column {column!r}; its columns: {', '.join(known)}.")
    return pairs[pairs["column"] == column]
