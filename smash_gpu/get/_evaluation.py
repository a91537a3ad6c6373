"""What `tl.evaluate` found, as tables."""

from __future__ import annotations

from typing import TypedDict, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation import METRICS, summary
from smash_gpu.runtime.words import did_you_mean


class Case(TypedDict, total=False):
    """One case of an evaluation; see `evaluation` for what is left out."""

    genes: str | None
    n_genes: int | None
    classifier: str | None
    thin: float | None
    dropout: float | None
    is_random: bool


def evaluation(
    adata: AnnData,
    *,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    thin: float | None = None,
    dropout: float | None = None,
    is_random: bool = False,
    level: float = summary.LEVEL,
    key: str = slots.KEY,
) -> pd.DataFrame:
    """The metrics of one case of the last `tl.evaluate`, over its splits; a row a metric, the number of genes first.

    Parameters
    ----------
    genes
        Name of the list; None for the first.
    n_genes
        Number of genes; None for the largest.
    classifier
        None for the first.
    thin, dropout
        Condition; None for the intact cells.
    is_random
        The random panels beside the list instead of the list.
    level
        Of the interval.

    Returns
    -------
    Columns ``mean``, ``std``, ``min``, ``max`` over the splits, and the ends ``low`` and ``high`` of the interval for
    the mean: Student's t over the splits with the correction of Nadeau and Bengio for cells that splits share. It
    covers another draw of cells (or samples) and, where genes were chosen inside the splits, of genes. NaN for one
    split.
    """
    table = _evaluation(adata, key)
    wanted = {"genes": genes, "n_genes": n_genes, "classifier": classifier, "thin": thin, "dropout": dropout}
    rows = table[summary.one_case(table, wanted | {"is_random": is_random})]
    found = summary.comparison(rows, level=level).set_index("metric")[list(summary.STATISTICS)]
    size = float(rows["n_genes"].iloc[0])
    sizes = pd.DataFrame([[size, 0.0, size, size, size, size]], index=["n_genes"], columns=found.columns)
    return pd.concat([sizes, found]).rename_axis(None)


def evaluation_splits(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Every row of the last `tl.evaluate`: list, split, random panel (0 for the list), condition, all metrics."""
    return _evaluation(adata, key)


def evaluation_panels(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """The genes that the last `tl.evaluate` judged, by list (``genes``), ``split`` and ``rank``."""
    return slots.require(adata, "evaluation_panels", key, "tl.evaluate").copy()


def comparison(
    adata: AnnData, metric: str | None = None, *, level: float = summary.LEVEL, key: str = slots.KEY
) -> pd.DataFrame:
    """All cases of the last `tl.evaluate` side by side, a row a case and metric, as `evaluation` reports one.

    Parameters
    ----------
    metric
        One of `evaluation.METRICS`; None for all.
    level
        Of the interval.

    Returns
    -------
    Columns ``genes`` (name of the list), ``is_random`` (its random panels, averaged within each split),
    ``classifier``, ``n_genes``, ``thin``, ``dropout``, ``metric``, ``n_splits`` and those of `evaluation`.
    """
    return _of_metric(summary.comparison(_evaluation(adata, key), level=level), metric)


def learning_curve(
    adata: AnnData,
    metric: str = "misclassification",
    *,
    classifier: str | None = None,
    level: float = summary.LEVEL,
    key: str = slots.KEY,
) -> pd.DataFrame:
    """A metric against the number of genes, for every list and its random panels, on intact cells; as `comparison`.

    Parameters
    ----------
    metric
        One of `evaluation.METRICS`.
    classifier
        None for the first.
    level
        Of the interval.
    """
    table = comparison(adata, metric, level=level, key=key)
    judges = list(table["classifier"].unique())
    if classifier not in (None, *judges):
        raise NotFoundError(f"classifier={classifier!r} did not judge; {', '.join(judges)} did.")
    wanted = judges[0] if classifier is None else classifier
    table = table[(table["thin"] == 1) & (table["dropout"] == 0) & (table["classifier"] == wanted)]
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
    """Every list, and its random panels, minus one list, paired by split; as `comparison`.

    Where the interval holds no zero the lists differ by more than the draw of cells explains.

    Parameters
    ----------
    metric
        One of `evaluation.METRICS`; None for all.
    reference
        Name of that list; None for the first.
    level
        Of the interval.
    """
    table = _evaluation(adata, key)
    names = list(table["genes"].unique())
    reference = names[0] if reference is None else reference
    if reference not in names:
        raise NotFoundError(f"no list {reference!r} was judged; there is {', '.join(names)}.")
    return _of_metric(summary.differences(table, reference, level=level), metric)


def group_metrics(
    adata: AnnData, *, level: float = summary.LEVEL, key: str = slots.KEY, **case: Unpack[Case]
) -> pd.DataFrame:
    """Recall, precision and F1 of every group in one case of the last `tl.evaluate`, with intervals.

    Parameters
    ----------
    level
        Of the interval.
    case
        As in `evaluation`.

    Returns
    -------
    A row a group and metric: ``group``, ``metric``, ``cells`` (held out, over all splits), and as `evaluation`.
    """
    mask, confusions, groups = _confusions(adata, key, case)
    return summary.groups(_evaluation(adata, key)[mask], confusions, groups, level=level)


def unresolved_pairs(adata: AnnData, *, key: str = slots.KEY, **case: Unpack[Case]) -> pd.DataFrame:
    """The pairs of groups that a list takes for each other, worst first.

    Parameters
    ----------
    case
        As in `evaluation`.

    Returns
    -------
    Columns ``group``, ``other``, ``confusion`` (mean of the next two), ``group_as_other`` and ``other_as_group``
    (shares of the held-out cells), ``cells``. Pairs that were never confused are left out.
    """
    _, confusions, groups = _confusions(adata, key, case)
    return summary.unresolved_pairs(confusions.sum(axis=0), groups)


def confusion(adata: AnnData, *, key: str = slots.KEY, **case: Unpack[Case]) -> pd.DataFrame:
    """Held-out cells of one case of the last `tl.evaluate` by true (rows) and predicted group, summed over the splits.

    Parameters
    ----------
    case
        As in `evaluation`.
    """
    _, confusions, groups = _confusions(adata, key, case)
    return pd.DataFrame(
        confusions.sum(axis=0), index=pd.Index(groups, name="true"), columns=pd.Index(groups, name="predicted")
    )


def _evaluation(adata: AnnData, key: str) -> pd.DataFrame:
    return slots.require(adata, "evaluation", key, "tl.evaluate").astype({"genes": str, "classifier": str})


def _confusions(adata: AnnData, key: str, case: Case) -> tuple[np.ndarray, np.ndarray, list[str]]:
    mask = summary.one_case(_evaluation(adata, key), case)
    groups = [str(g) for g in slots.require(adata, "evaluation_groups", key, "tl.evaluate")]
    return mask, np.asarray(slots.require(adata, "confusion", key, "tl.evaluate"))[mask], groups


def _of_metric(table: pd.DataFrame, metric: str | None) -> pd.DataFrame:
    if metric is None:
        return table
    if metric not in METRICS:
        raise NotFoundError(
            f"no metric {metric!r}." + did_you_mean(metric, METRICS) + f" There is {', '.join(METRICS)}."
        )
    return table[table["metric"] == metric].reset_index(drop=True)
