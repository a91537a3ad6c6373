"""A metric by number of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.evaluation import METRICS, summary
from smash_gpu.pl._canvas import COLOURS, GREY, MARKERS, canvas, legend_above, quiet, room, shown
from smash_gpu.pl._labels import metric_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RANDOM = "random panels"
WIDTH = 5.0  # inches


def learning_curve(
    adata: AnnData,
    metric: str = METRICS[0],
    *,
    classifier: str | None = None,
    level: float = summary.LEVEL,
    key: str = slots.KEY,
    ax: Axes | None = None,
) -> Axes:
    """A metric of the last `tl.evaluate` by number of genes, for every list, with intervals.

    The grey band shows random panels of genes with the same mean expression, if any were evaluated: from the lowest to
    the highest mean of those that were drawn for each list, with its interval. A list that is shorter than a size was
    judged whole there; the legend says how many genes it has.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate` with several ``n_genes``.
    metric
        Name of a metric, e.g. "misclassification".
    classifier
        Name of the classifier; None for the first.
    level
        Level of the interval, from 0 to 1.
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
        If `tl.evaluate` has not run yet, or there is no such metric or classifier.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> genes = ["MARKER0X", "MARKER1X", "MARKER2X"]
    >>> smg.tl.evaluate(adata, "cell_type", genes=genes, n_genes=[1, 3], n_splits=2)
    >>> ax = smg.pl.learning_curve(adata)
    >>> ax.get_ylabel()
    'misclassification rate'
    """
    table = get.learning_curve(adata, metric, classifier=classifier, level=level, key=key)
    curves = list(table[~table["is_random"]].groupby("genes", sort=False))
    random = table[table["is_random"]]
    names = [name + _length(rows) for name, (_, rows) in zip(shown(name for name, _ in curves), curves, strict=True)]
    names += [RANDOM] * bool(len(random))
    ax = ax or canvas(max(WIDTH, 1.2 + room(names)), 3.0 + 0.17 * len(names))
    handles = [_draw(ax, rows, number) for number, (_, rows) in enumerate(curves)]
    if len(random):
        handles.append(_band(ax, random))
    sizes = sorted(table["n_genes"].unique())
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(n) for n in sizes], minor=False)
    ax.set_xticks([], minor=True)
    quiet(ax)
    ax.set_xlabel("number of genes", fontsize=8)
    ax.set_ylabel(metric_label(metric), fontsize=8)
    ax.grid(axis="y", linewidth=0.4, color="0.9")
    legend_above(ax, handles, names, fontsize=8, ncols=1)
    return ax


def _length(rows: pd.DataFrame) -> str:
    """How many genes a list has that is shorter than a size; else nothing."""
    n_used = rows["n_used"].max()
    return f" ({n_used} genes)" if n_used < rows["n_genes"].max() else ""


def _draw(ax: Axes, rows: pd.DataFrame, number: int) -> Any:
    colour, mark = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    x, mean = rows["n_genes"].to_numpy(), rows["mean"].to_numpy()
    low, high = _interval(rows)
    ax.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    return ax.errorbar(
        x, mean, yerr=np.maximum([mean - low, high - mean], 0), color=colour, fmt=mark, linestyle="-", markersize=4.5,
        linewidth=1.3, elinewidth=0.7, capsize=2,
    )  # fmt: skip


def _band(ax: Axes, random: pd.DataFrame) -> Any:
    """One band for the random panels of all lists; of a single size it is a bar."""
    low, high = _interval(random)
    ends = random.assign(low=low, high=high).groupby("n_genes").agg({"low": "min", "high": "max"})
    if len(ends) == 1:
        middle = ends.mean(axis=1)
        return ax.errorbar(
            ends.index, middle, yerr=middle - ends["low"], color=GREY, elinewidth=14, fmt="none", zorder=0
        )
    return ax.fill_between(ends.index, ends["low"], ends["high"], color=GREY, linewidth=2, zorder=0)


def _interval(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Both ends; the mean where there is no interval."""
    mean = rows["mean"].to_numpy()
    low, high = (np.where(rows[end].isna(), mean, rows[end]) for end in ("low", "high"))
    return low, high
