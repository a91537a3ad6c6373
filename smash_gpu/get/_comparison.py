"""All cases of `tl.evaluate` side by side."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation import METRICS, summary
from smash_gpu.evaluation.metrics import STRUCTURE
from smash_gpu.get._evaluation import evaluation_splits
from smash_gpu.runtime.words import did_you_mean, join_names


def comparison(
    adata: AnnData, metric: str | None = None, *, level: float = summary.LEVEL, key: str = slots.KEY
) -> pd.DataFrame:
    """All cases of the last `tl.evaluate` side by side; one row per case and metric.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    metric
        Name of a metric, e.g. "misclassification" or "macro_1_minus_recall"; None for all.
    level
        Level of the interval, from 0 to 1.
    key
        Name of the slots.

    Returns
    -------
    Columns ``genes`` (name of the list), ``is_random`` (bool; its random panels, averaged within each split),
    ``classifier``, ``n_genes``, ``thin``, ``dropout``, ``gene_bias``, ``background``, ``n_used`` (int64;
    genes that were judged: fewer than ``n_genes`` if the list is shorter), ``metric``, ``n_splits`` (int64), and those
    of `evaluation` (float64).

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or there is no such metric.

    References
    ----------
    As for `evaluation`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> lists = {"markers": ["MARKER0X", "MARKER1X"], "noise": ["NOISE9", "NOISE10"]}
    >>> smg.tl.evaluate(adata, "cell_type", genes=lists)
    >>> table = smg.get.comparison(adata, "misclassification").set_index("genes")
    >>> bool(table.loc["markers", "mean"] < table.loc["noise", "mean"])
    True
    """
    metrics = _named(metric)
    return summary.comparison(evaluation_splits(adata, key=key), metrics, level=level)


def learning_curve(
    adata: AnnData,
    metric: str = METRICS[0],
    *,
    classifier: str | None = None,
    level: float = summary.LEVEL,
    key: str = slots.KEY,
) -> pd.DataFrame:
    """A metric against the number of genes, for every list and its random panels, on intact cells.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate` with several ``n_genes``.
    metric
        Name of a metric.
    classifier
        Name of the classifier; None for the first.
    level
        Level of the interval, from 0 to 1.
    key
        Name of the slots.

    Returns
    -------
    The columns of `comparison`; one row per list and number of genes.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or there is no such metric or classifier.

    References
    ----------
    As for `evaluation`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X", "MARKER2X"], n_genes=[1, 3])
    >>> smg.get.learning_curve(adata)["n_genes"].tolist()
    [1, 3]
    """
    table = comparison(adata, metric, level=level, key=key)
    if table.empty:
        raise NotFoundError(f"{metric!r} was not measured; run tl.evaluate with structure={metric!r}.")
    judges = list(table["classifier"].unique())
    if classifier not in (None, *judges):
        raise NotFoundError(f"no results for classifier={classifier!r}; available: {join_names(judges)}.")
    wanted = judges[0] if classifier is None else classifier
    table = table[summary.is_intact(table) & (table["classifier"] == wanted)]
    order = {name: number for number, name in enumerate(table["genes"].unique())}
    return table.sort_values(["is_random", "genes", "n_genes"], key=lambda c: c.map(order) if c.name == "genes" else c,
                             ignore_index=True)  # fmt: skip


def differences(
    adata: AnnData,
    metric: str | None = None,
    *,
    reference: str | None = None,
    level: float = summary.LEVEL,
    key: str = slots.KEY,
) -> pd.DataFrame:
    """Every list, and its random panels, minus one list, paired by split.

    If the interval does not hold zero, the lists differ by more than the draw of cells explains. Lists are compared at
    equal ``n_genes``, or each as a whole if that is how they were judged.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate` with several lists or with random panels.
    metric
        Name of a metric; None for all.
    reference
        Name of the list that is subtracted; None for the first.
    level
        Level of the interval, from 0 to 1.
    key
        Name of the slots.

    Returns
    -------
    The columns of `comparison`, and ``reference``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or there is no such metric or list.

    References
    ----------
    As for `evaluation`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> lists = {"markers": ["MARKER0X", "MARKER1X"], "noise": ["NOISE9", "NOISE10"]}
    >>> smg.tl.evaluate(adata, "cell_type", genes=lists)
    >>> bool(smg.get.differences(adata, "misclassification", reference="markers")["mean"].item() > 0)
    True
    """
    table = evaluation_splits(adata, key=key)
    names = list(table["genes"].unique())
    reference = names[0] if reference is None else reference
    if reference not in names:
        near = did_you_mean(reference, names)
        raise NotFoundError(f"no results for the list {reference!r}.{near} Lists: {join_names(names)}.")
    return summary.differences(table, reference, _named(metric), level=level)


def _named(metric: str | None) -> tuple[str, ...] | None:
    """One metric, or None for all."""
    if metric is None:
        return None
    if metric not in (*METRICS, *STRUCTURE):
        near = did_you_mean(metric, (*METRICS, *STRUCTURE))
        raise NotFoundError(f"no metric {metric!r}.{near} Metrics: {join_names((*METRICS, *STRUCTURE))}.")
    return (metric,)
