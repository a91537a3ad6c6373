"""The markers that `tl.smash` or `tl.rank_markers` found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import of_models, slots
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.runtime.words import did_you_mean, join_names
from smash_gpu.selection.marker_panel import marker_panel as choose


def markers(adata: AnnData, group: object = None, *, key: str = slots.KEY) -> pd.DataFrame:
    """The markers of all classes or of one; one row per marker.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.rank_markers`.
    group
        Name of a class; None for all classes.
    key
        Name of the slots.

    Returns
    -------
    Columns ``group`` (categorical), ``rank`` (int64, from 1), ``name``, ``score`` (float32, in the units of the model,
    or from 0 to 1 of a consensus, see `tl.importance`; larger is better), ``direction`` ("up" or "down" against the
    other cells), ``fraction_in`` and ``fraction_out`` (share of the cells in and outside the class that express the
    gene), ``mean_in`` and ``mean_out`` (mean of log1p of counts per 10,000, or of the log-normalised values); and
    effect sizes (float64): ``log2_fold_change`` (of the class against the other cells: ``mean_in`` − ``mean_out`` in
    base 2, a fold change of means with a pseudo-count of 1), ``auc`` (chance that a cell of the class has more of the
    gene than another cell, equal values half; of at most 64 MiB of expression, drawn in proportion to the classes,
    batch-corrected where the models were; NaN where trees were boosted on the workers of a cluster) and
    ``specificity`` (τ over the means of the classes: 1 for a gene of one class alone, 0 for one that all have alike).
    With a ``sample_key`` also ``samples`` (share of the samples in
    which the gene is detected), with ``within`` that column. Of a consensus of models also ``agreement`` (share of the
    models, float64: 1 if each of them alone has the gene among the first ``n_top`` of the class) and one column
    ``rank_…`` per model (int64, from 1: place of the gene for this model alone), both among the genes that may be
    markers of the class and without ``unique``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no markers were ranked yet, or there is no such class.

    References
    ----------
    τ: Yanai et al., Bioinformatics 2005.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> sorted(smg.get.markers(adata, "A")["name"])
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']

    Those on which two models agree:

    >>> smg.tl.smash(adata, "cell_type", model=["rf", "xgboost"], n_top=3)
    >>> table = smg.get.markers(adata, "A")
    >>> sorted(table["name"][table["agreement"] == 1])
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']
    """
    table = slots.require(adata, "markers", key, "tl.smash or tl.rank_markers")
    if group is None:
        return table.copy()
    group = str(group)
    known = list(map(str, table["group"].unique()))
    if group not in known:
        near = did_you_mean(group, known)
        raise NotFoundError(f"no class {group!r} among the markers.{near} Classes: {join_names(known)}.")
    return table[table["group"] == group].reset_index(drop=True)


def markers_dict(adata: AnnData, n_top: int | None = None, *, key: str = slots.KEY) -> dict[str, list[str]]:
    """Group → names of its markers, best first, as ``scanpy.pl.dotplot`` takes them.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.rank_markers`.
    n_top
        Markers per class; None for all.
    key
        Name of the slots.

    Returns
    -------
    One list of gene names per class that has markers.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no markers were ranked yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> {group: sorted(genes) for group, genes in smg.get.markers_dict(adata).items()}["CD4+ T"]
    ['MARKER2X', 'MARKER2Y', 'MARKER2Z']
    """
    table = markers(adata, key=key)
    rows = table.groupby("group", observed=True, sort=False)["name"]
    return {str(group): names.tolist()[:n_top] for group, names in rows}


def marker_panel(adata: AnnData, n_genes: int, *, nested: bool = True, key: str = slots.KEY) -> list[str]:
    """The panel of the model: exactly ``n_genes`` different genes that together tell all classes apart, best first.

    The objective is that of `tl.panel`: for every pair of classes the separations of the genes add up, each multiplied
    by ``w_g = min(1, I_g / mean of the 100 largest I)``, where I is how much the model uses the gene for all classes
    together (``.var["smash_importance"]``). All pairs of classes count alike, with ``within`` all pairs of the finest
    classes. Means and variances are of the cells of all batches. A gene that the sample rule or ``positive_only``
    forbids as marker of a class does not separate it from classes in which the gene is lower, and is not chosen if it
    is forbidden for all. Genes that differ too little for a marker of any class come when there is no other left, with
    a warning. ``tl.panel(adata, groupby, weights="smash")`` chooses by the same objective under
    constraints.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash`, or after `tl.importance` and `tl.rank_markers`.
    n_genes
        Number of genes.
    nested
        True: every prefix is a good panel of its size, and a shorter request gives a prefix. False: τ fits
        ``n_genes``, as in `tl.panel`.
    key
        Name of the slots.

    Returns
    -------
    Names of ``n_genes`` genes.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no genes were scored and ranked yet.
    ValueError
        If fewer than ``n_genes`` genes have a score.

    References
    ----------
    The objective: see `tl.panel`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type")
    >>> panel = smg.get.marker_panel(adata, 3)
    >>> sorted(adata.var["marker_of"][panel])
    ['A', 'B / b', 'CD4+ T']
    """
    names = adata.var_names.astype(str).to_numpy(dtype=object)
    eligible, spare = (slots.eligible_scores(adata, key, spare=spare) for spare in (False, True))
    known: dict[str, Any] = {what: slots.profile(adata, what, key) for what in ("mean", "variance")}
    known |= {"importance": slots.importance(adata, key), "names": names}
    found = choose(slots.scores(adata, key), eligible, spare, n_genes=n_genes, nested=nested, **known)
    n_markers = int((~np.isnan(eligible)).any(axis=0).sum())
    if n_markers < n_genes:
        warn(
            f"{n_markers:,} genes differ enough to be markers (see tl.rank_markers: min_log2_fold_change, "
            f"min_fraction_difference, near_highest); the last {n_genes - n_markers:,} of the list differ less."
        )
    return names[found].tolist()


def accuracy(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """How many of the held-out cells of each class every model predicts right, with all candidate genes.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash` or `tl.importance`.
    key
        Name of the slots.

    Returns
    -------
    One row per model and class: ``model`` (int64, from 1), ``name`` of the model, ``seed`` (int64), ``group``
    (categorical), ``training_cells`` (int64) and ``accuracy`` (float64, from 0 to 1; NaN if no cell of the class was
    held out). With ``within`` the models of each
    broad class predict its own classes. ``adata.uns["smash"]["accuracy"]`` holds the accuracy over all cells.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no genes were scored yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type")
    >>> smg.get.accuracy(adata).set_index("group")["accuracy"].to_dict()
    {'A': 1.0, 'B / b': 1.0, 'CD4+ T': 1.0}
    """
    found = slots.require(adata, "group_accuracy", key, "tl.smash or tl.importance")
    groups = [str(group) for group in slots.require(adata, "groups", key, "tl.smash")]
    n_models, how = len(found), slots.recorded(adata, key, "importance")
    names = of_models.names(adata, key) or [str(how.get("model"))]
    seeds = int(how.get("random_state", 0)) + np.arange(n_models // len(names))
    return pd.DataFrame(
        {
            "model": np.repeat(np.arange(1, n_models + 1), len(groups)),
            "name": np.repeat(np.array(names, dtype=object), len(seeds) * len(groups)),
            "seed": np.tile(np.repeat(seeds, len(groups)), len(names)),
            "group": pd.Categorical(groups * n_models, groups),
            "training_cells": np.asarray(adata.uns[key]["training_cells"]).ravel(),
            "accuracy": np.asarray(found).ravel(),
        }
    )
