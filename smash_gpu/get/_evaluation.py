"""What `tl.evaluate` found, as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation import summary
from smash_gpu.evaluation.judging import WILCOXON
from smash_gpu.runtime.words import join_names

ORIGINS = ("inside_splits", "by_function", "by_wilcoxon")


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
    """The metrics of one case of the last `tl.evaluate`, over its splits.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    genes
        Name of the list; None for the first.
    n_genes
        Number of genes; None for the largest.
    classifier
        Name of the classifier; None for the first.
    thin
        Share of the counts; None for intact cells.
    dropout
        Chance of each gene to fail; None for intact cells.
    is_random
        Whether to report the random panels of the list instead of the list.
    level
        Level of the interval, from 0 to 1.
    key
        Name of the slots.

    Returns
    -------
    One row per metric, the number of genes first (those of the whole list if it is shorter than ``n_genes``). Columns
    ``mean``, ``std``, ``min``, ``max`` over the splits, and the ends ``low`` and ``high`` of the interval for the mean
    (float64; shares from 0 to 1, ``cohen_kappa`` and ``mcc`` from −1): Student's t over the splits with a correction
    for cells that splits share. The interval covers another draw of cells (or samples) and, where genes were chosen
    inside the splits, of genes. NaN for one split.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or it had no such case.

    References
    ----------
    Interval: Nadeau & Bengio, Machine Learning 2003, equation 7. Metrics: SMaSH, bioRxiv 2021.04.08.438978, equations
    1 and 2; see `tl.evaluate`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X", "MARKER2X"])
    >>> table = smg.get.evaluation(adata)
    >>> bool(table.loc["misclassification", "mean"] < 0.1)
    True
    """
    table = evaluation_splits(adata, key=key)
    wanted = {"genes": genes, "n_genes": n_genes, "classifier": classifier, "thin": thin, "dropout": dropout}
    rows = table[summary.one_case(table, wanted | {"is_random": is_random})]
    found = summary.comparison(rows, level=level).set_index("metric")[list(summary.STATISTICS)]
    size = float(rows["n_used"].iloc[0])
    sizes = pd.DataFrame([[size, 0.0, size, size, size, size]], index=["n_genes"], columns=found.columns)
    return pd.concat([sizes, found]).rename_axis(None)


def evaluation_splits(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Every row of the last `tl.evaluate`: one per list, split, random panel, condition and classifier.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    key
        Name of the slots.

    Returns
    -------
    Columns ``genes`` (name of the list), ``split`` (from 0), ``random`` (number of the random panel, 0 for the list),
    ``n_genes``, ``n_used`` (genes that were judged: fewer if the list is shorter), ``classifier``, ``thin``,
    ``dropout``, ``gene_bias``, ``background``, ``n_train`` and ``n_test`` (cells, int64), and one per metric (float64).
    Cells whose class has no training cell in the split are not judged, and in no number; a split without others is left
    out.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=2)
    >>> smg.get.evaluation_splits(adata)[["split", "n_train", "n_test"]]
       split  n_train  n_test
    0      0      168      72
    1      1      168      72
    """
    table = slots.require(adata, "evaluation", key, "tl.evaluate")
    return table.assign(n_used=table.get("n_used", table["n_genes"])).astype({"genes": str, "classifier": str})


def evaluation_panels(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """The genes that the last `tl.evaluate` judged; one row per list, split and gene.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    key
        Name of the slots.

    Returns
    -------
    Columns ``genes`` (name of the list), ``split`` (int64, from 0), ``rank`` (int64, from 1), ``name`` (of the gene).

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=1)
    >>> smg.get.evaluation_panels(adata)["name"].tolist()
    ['MARKER0X', 'MARKER1X']
    """
    return slots.require(adata, "evaluation_panels", key, "tl.evaluate").copy()


def evaluation_options(adata: AnnData, *, key: str = slots.KEY) -> dict[str, Any]:
    """The options of the last `tl.evaluate`, as it takes them: ``tl.evaluate(adata, **options)`` runs it again.

    Parameters
    ----------
    adata
        Annotated data after `tl.evaluate`.
    key
        Name of the slots.

    Returns
    -------
    All parameters but ``adata``, ``memory`` and ``key``. ``genes`` is a mapping: name → list of genes, None for the
    selection of `tl.smash`, or "wilcoxon".

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.evaluate` has not run yet, or a function chose the genes: functions are not stored.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=2, sample_key="sample")
    >>> options = smg.get.evaluation_options(adata)
    >>> options["genes"], options["n_splits"], options["sample_key"]
    ({'list': ['MARKER0X', 'MARKER1X']}, 2, 'sample')
    """
    panels = evaluation_panels(adata, key=key)
    options = slots.recorded(adata, key, "evaluation")
    functions = options.get("by_function", ())
    if functions:
        raise NotFoundError(
            f"the genes of {join_names(functions)} were chosen by a function, which is not stored. The other options "
            f'are in adata.uns["{key}"]["params"]["evaluation"].'
        )
    first = panels[panels["split"] == panels["split"].min()]
    names = {str(name): rows["name"].tolist() for name, rows in first.groupby("genes", sort=False)}
    tested = dict.fromkeys(options.get("by_wilcoxon", ()), WILCOXON)
    repeated = dict.fromkeys(options["inside_splits"]) | tested
    genes = {name: repeated[name] if name in repeated else names[name] for name in options["genes"]}
    return {name: value for name, value in options.items() if name not in ORIGINS} | {"genes": genes}
