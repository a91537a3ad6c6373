"""The best options of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu import models
from smash_gpu.annotated import of_tuning, slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.data.stages import Work
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.selection import steps, trials, tuning
from smash_gpu.selection.options import Filters, Importance, InversePCA, Recipe
from smash_gpu.selection.trials import Budget


def tune(
    adata: AnnData,
    groupby: str,
    *,
    model: str = models.DEFAULT,
    n_trials: int = Budget.n_trials,
    timeout: float | None = Budget.timeout,
    model_options: Mapping[str, Any] | None = None,
    max_cells: int | None = Importance.max_cells,
    random_state: int = Importance.random_state,
    filters: Mapping[str, Any] | None = None,
    inverse_pca: bool = bool(Recipe.inverse_pca),
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    sample_key: str | None | Earlier = EARLIER,
    batch_key: str | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
    memory: int | str | None = None,
    work: str | Path | Work | None = None,
    key: str = slots.KEY,
) -> None:
    """Search for the options with which a model predicts held-out cells best; needs Optuna (``smash-gpu[tune]``).

    Every trial trains the model on the candidate genes with other options; its value is the macro F1 on cells that it
    has not learned from. The first trial has the defaults, so the best one is never worse than these on the same cells.
    The others are drawn by Optuna's TPE, or are all combinations if there are no more than ``n_trials``.
    ``tl.smash(adata, groupby, model=model, model_options="tuned")`` uses the best options. The expression of the
    candidates is read once for all trials, into memory or a temporary file, also from a Dask array.

    All trials train on, and are judged on, cells that `tl.smash` with the same ``random_state`` trains on. So the
    accuracy that it reports for its own held-out cells (`get.accuracy`) is that of cells that no trial has seen; with
    other seeds or several models it is optimistic. `tl.evaluate` after it is optimistic, too: the options were tuned on
    its held-out cells. For an honest number give it a function that tunes on the training cells of every split, as in
    the example.

    Parameters
    ----------
    adata
        Annotated cells × genes.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    model
        "rf", "brf", "xgboost", "dnn", or the name of a model of your own in ``smash_gpu.models.MODELS``, whose
        ``ModelInfo`` states the options to tune: ``search={"depth": smash_gpu.models.Range(2, 9, default=5)}``.
    n_trials
        Number of trials, those that failed and those of a stopped run included.
    timeout
        Seconds of this call after which no further trial begins. None: no limit.
    model_options
        Options that all trials have; those that could be tuned are fixed by it.
    max_cells
        Most cells, as in `tl.smash`.
    random_state
        Seed; two runs with one seed make the same trials, also if one was stopped and went on.
    filters, inverse_pca
        Which genes are candidates, as in `tl.smash`.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    work
        Folder that keeps every finished trial, in a SQLite file of Optuna, and the stages before. The same call goes on
        after them if it was stopped; with a larger ``n_trials`` it adds trials. Other data, genes, options, seeds or
        versions of packages have a file of their own.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash_tuning"]``: ``["trials"]`` (one row per trial and model) and, by model, the options of
    this call and the best ones in ``["params"]``. Read them by `get.tuning` and `get.tuned_options`. One line on
    stderr says the best value and that of the defaults, through ``logging`` of "smash_gpu".

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or gene is not in the data.
    ValueError, TypeError
        If an option cannot be used, the model is an object or has nothing to tune, or no class has enough cells.
    ImportError
        If Optuna, or a package that the model needs, is not installed.
    RuntimeError
        If all trials failed; the message has the first reason. A trial that fails among others is noted and passed
        over.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods (TPE for the network, a grid for the trees). Optuna: Akiba et al., KDD
    2019. TPE: Bergstra et al., NeurIPS 2011.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> fixed = {"n_estimators": 5}
    >>> smg.tl.tune(adata, "cell_type", model="xgboost", n_trials=3, model_options=fixed)
    >>> smg.get.tuning(adata)["value"].between(0, 1).all()
    np.True_
    >>> smg.tl.smash(adata, "cell_type", model="xgboost", model_options="tuned")

    Tuned inside the training cells of every split:

    >>> def choose(cells, n_genes):
    ...     smg.tl.tune(cells, "cell_type", model="xgboost", n_trials=2, model_options=fixed)
    ...     smg.tl.smash(cells, "cell_type", model="xgboost", model_options="tuned")
    ...     return smg.get.marker_panel(cells, n_genes)
    >>> smg.tl.evaluate(adata, "cell_type", genes=choose, n_genes=3, n_splits=1)
    """
    rules = Filters.of(filters or {})
    wanted = tuning.Tuning(
        Importance(model, _fixed(model_options), random_state=random_state, max_cells=max_cells),
        Budget(n_trials, timeout),
    )
    slots.require_storable(model)
    trials.require_optuna()
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    with limit(memory):
        data = read(adata, where, Work.of(work))
        models.check_options(model, {**wanted.how.options, **dict.fromkeys(wanted.space)}, data.device)
        rules = rules.by_name(data.gene_names)
        candidates, _ = steps.filter_genes(data, rules)
        if inverse_pca:
            candidates, _ = steps.inverse_pca(data, candidates, InversePCA(keep=rules.keep))
        table = tuning.tune(data, candidates, wanted)
    best = trials.best(table)
    found = wanted.options(trials.options_of(best))
    options = where | {
        "model": model, "n_trials": n_trials, "timeout": timeout, "model_options": wanted.how.options,
        "max_cells": max_cells, "random_state": random_state, "filters": vars(rules), "inverse_pca": inverse_pca,
        "n_candidates": int(candidates.sum()), "best_value": float(best["value"]), "best_options": json.dumps(found),
    }  # fmt: skip
    of_tuning.write(adata, model, table, options, key=key)
    say(_in_words(model, table, found))


def _in_words(model: str, table: pd.DataFrame, found: Mapping[str, Any]) -> str:
    value, best = table["value"].iloc[0], trials.best(table)
    failed = int(table["value"].isna().sum())
    of_defaults = "failed" if pd.isna(value) else f"{value:.4f}"
    said = ", ".join(f"{name}={value!r}" for name, value in found.items()) or "the defaults"
    return (
        f"Tuned {model}: macro F1 {best['value']:.4f} in trial {best['number']} of {len(table)}"
        f"{f' ({failed} failed)' if failed else ''}, defaults {of_defaults}; best options: {said}."
    )


def _fixed(model_options: Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(model_options, str):
        raise TypeError(
            f"model_options={model_options!r} cannot be used in tl.tune: pass the options that stay fixed as a "
            'mapping, or None. model_options="tuned" is for tl.smash.'
        )
    return dict(model_options or {})
