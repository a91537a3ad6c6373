"""The last transfer to a tissue as values."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import of_transfer, slots
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation import per_group
from smash_gpu.evaluation.transfer import relative
from smash_gpu.runtime.words import join_names, not_one_of

TABLES = ("metrics", "cases", "groups", "confusion", "cells", "panels")
STEP = "tl.transfer"


def transfer(
    adata: AnnData,
    table: str = "metrics",
    *,
    genes: str | None = None,
    n_genes: int | None = None,
    classifier: str | None = None,
    key: str = slots.TRANSFER,
) -> pd.DataFrame:
    """A table of the last `tl.transfer`.

    Parameters
    ----------
    adata
        The annotated tissue after `tl.transfer`.
    table
        "metrics": one row per list, number of genes and classifier, with every metric, and the balanced accuracy of
        its random panels (``random``), that of all genes that both data sets have (``ceiling``), and where the list
        lies between them (``relative``: 0 at the first, 1 at the second). "cases": the same metrics of every random
        panel and of the ceiling, too. "panels": the genes of each list. Of one case: "groups", cells, recall, precision
        and F1 of every class; "confusion", numbers of cells, true classes × predicted classes; "cells", the true
        and the predicted class of every cell and whether it is an error (missing where the cell is not judged).
    genes, n_genes, classifier
        The case; None: the first list ("all measured genes" for the ceiling), its largest size, the first classifier.
    key
        Name of the slots.

    Returns
    -------
    The table. Metrics are float64 and described by `tl.evaluate`.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If there was no transfer yet, or there is no such table or case.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> reference, tissue = smg.datasets.planted(), smg.datasets.planted()
    >>> smg.tl.transfer(reference, tissue, "cell_type", genes=["MARKER0X", "MARKER1X"], n_random=2)
    >>> smg.get.transfer(tissue, "groups")["class"].tolist()
    ['A', 'B / b', 'CD4+ T']
    """
    if table not in TABLES:
        raise NotFoundError(not_one_of("table", table, TABLES))
    cases = slots.require(adata, slots.TRANSFERRED, key, STEP)
    if table == "metrics":
        return relative(cases)
    if table in ("cases", "panels"):
        return (cases.drop(columns="column") if table == "cases" else slots.held(adata, "panels", key, STEP)).copy()
    number = _case(cases, {"genes": genes, "classifier": classifier, "n_genes": n_genes})
    if table == "cells":
        return _cells(adata, int(cases["column"].iloc[number]), key)
    return _of_classes(adata, number, table, key)


def _of_classes(adata: AnnData, number: int, table: str, key: str) -> pd.DataFrame:
    classes = [str(name) for name in slots.held(adata, "classes", key, STEP)]
    counts = slots.held(adata, "confusion", key, STEP)[number]
    if table == "confusion":
        index, columns = pd.Index(classes, name="true"), pd.Index(classes, name="predicted")
        return pd.DataFrame(counts, index=index, columns=columns)
    recall, precision, f1 = per_group(counts)
    found = {"class": classes, "cells": counts.sum(axis=1), "recall": recall, "precision": precision, "f1": f1}
    return pd.DataFrame(found)


def _cells(adata: AnnData, column: int, key: str) -> pd.DataFrame:
    true, predicted = of_transfer.true(adata, key), of_transfer.predicted(adata, column, key)
    table = pd.DataFrame({"true": true, "predicted": predicted}, index=adata.obs_names)
    wrong = pd.array(true.codes != predicted.codes, dtype="boolean")
    wrong[true.codes < 0] = pd.NA
    return table.assign(error=wrong)


def _case(cases: pd.DataFrame, wanted: dict) -> int:
    """Place of the row of one case: the first of each column that is not given, the largest size."""
    mask = (cases["random"] == 0).to_numpy()
    for column, value in wanted.items():
        there = cases.loc[mask, column]
        if value is None:
            value = there.max() if column == "n_genes" else there.iloc[0]
        elif value not in set(there):
            raise NotFoundError(f"the transfer has no {column}={value!r}; available: {join_names(there.unique())}.")
        mask = mask & (cases[column] == value).to_numpy()
    return int(mask.argmax())
