"""What `tl.evaluate` found about classes and pairs of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.evaluation import summary
from smash_gpu.get._evaluation import evaluation_splits


def group_metrics(
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
    """Recall, precision and F1 of every class in one case of the last `tl.evaluate`, with intervals.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    genes, n_genes, classifier, thin, dropout, is_random
        The case, as in `evaluation`.
    level
        Level of the interval, from 0 to 1.
    key
        Name of the slots.

    Returns
    -------
    One row per class and metric: ``group`` (categorical), ``metric``, ``cells`` (held out, over all splits; int64), and
    the columns of `evaluation` (float64, from 0 to 1). ``mean`` is of the held-out cells of all splits together, as in
    `confusion`; ``std`` and the interval describe the splits, each weighted by its cells. A class that was not judged
    (see `tl.evaluate`) has no cells, and NaN.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or it had no such case.

    References
    ----------
    As for `evaluation`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X", "MARKER2X"])
    >>> table = smg.get.group_metrics(adata)
    >>> table["metric"].unique().tolist(), table["group"].nunique()
    (['recall', 'precision', 'f1'], 3)
    """
    case = {"genes": genes, "n_genes": n_genes, "classifier": classifier, "thin": thin, "dropout": dropout}
    mask, confusions, groups = _confusions(adata, key, case | {"is_random": is_random})
    return summary.groups(evaluation_splits(adata, key=key)[mask], confusions, groups, level=level)


def unresolved_pairs(
    adata: AnnData,
    *,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    thin: float | None = None,
    dropout: float | None = None,
    is_random: bool = False,
    key: str = slots.KEY,
) -> pd.DataFrame:
    """The pairs of classes that a list of genes confuses, worst first.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    genes, n_genes, classifier, thin, dropout, is_random
        The case, as in `evaluation`.
    key
        Name of the slots.

    Returns
    -------
    Columns ``group``, ``other``, ``confusion`` (mean of the next two), ``group_as_other`` and ``other_as_group``
    (shares of the held-out cells, float64), ``cells`` (int64). Pairs that were never confused are left out, and those
    with a class that was not judged (see `tl.evaluate`).

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or it had no such case.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X"])
    >>> smg.get.unresolved_pairs(adata)[["group", "other"]].iloc[0].tolist()
    ['B / b', 'CD4+ T']
    """
    case = {"genes": genes, "n_genes": n_genes, "classifier": classifier, "thin": thin, "dropout": dropout}
    _, confusions, groups = _confusions(adata, key, case | {"is_random": is_random})
    return summary.unresolved_pairs(confusions.sum(axis=0), groups)


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
) -> pd.DataFrame:
    """Held-out cells of one case of the last `tl.evaluate` by true and predicted class, summed over the splits.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    genes, n_genes, classifier, thin, dropout, is_random
        The case, as in `evaluation`.
    key
        Name of the slots.

    Returns
    -------
    Classes × classes, numbers of cells (int64); true classes in rows, predicted classes in columns. A class that was
    not judged (see `tl.evaluate`) has a row of zeros.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or it had no such case.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=1)
    >>> smg.get.confusion(adata).shape
    (3, 3)
    """
    case = {"genes": genes, "n_genes": n_genes, "classifier": classifier, "thin": thin, "dropout": dropout}
    _, confusions, groups = _confusions(adata, key, case | {"is_random": is_random})
    return pd.DataFrame(
        confusions.sum(axis=0), index=pd.Index(groups, name="true"), columns=pd.Index(groups, name="predicted")
    )


def _confusions(adata: AnnData, key: str, case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows of the evaluation, their confusion matrices, and the names of the classes."""
    mask = summary.one_case(evaluation_splits(adata, key=key), case)
    groups = [str(g) for g in slots.require(adata, "evaluation_groups", key, "tl.evaluate")]
    return mask, np.asarray(slots.require(adata, "confusion", key, "tl.evaluate"))[mask], groups
