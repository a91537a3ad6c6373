"""What `tl.tune` found."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import of_tuning, slots
from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import join_names


def tuning(adata: AnnData, model: str | None = None, *, key: str = slots.KEY) -> pd.DataFrame:
    """The trials of `tl.tune`, in their order; the first one has the defaults of the model.

    Parameters
    ----------
    adata
        Annotated data after `tl.tune`.
    model
        One of the models that were tuned; None for all.
    key
        Prefix of the slots.

    Returns
    -------
    Columns ``model``; ``number`` of the trial from 0 (int64); ``value``, the macro F1 on held-out cells (float64; NaN
    if the trial failed); ``seconds`` (float64); ``error`` (why it failed, else ""); then one column per tuned option.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.tune` has not run for this model yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.tune(adata, "cell_type", model="xgboost", n_trials=2, model_options={"n_estimators": 5})
    >>> smg.get.tuning(adata)[["model", "number", "max_depth"]]
         model  number  max_depth
    0  xgboost       0          9
    1  xgboost       1          6
    """
    table = _trials(adata, model, key)
    options = pd.DataFrame([json.loads(row) for row in table["options"]], index=table.index)
    shown = table[["model", "number", "value", "seconds", "error"]].astype({"model": object, "error": object})
    return pd.concat([shown, options], axis=1).reset_index(drop=True)


def tuned_options(adata: AnnData, model: str, *, key: str = slots.KEY) -> dict[str, Any]:
    """The best options that `tl.tune` found for a model; ``tl.smash(model_options="tuned")`` uses them.

    Parameters
    ----------
    adata
        Annotated data after `tl.tune`.
    model
        Name of the model.
    key
        Prefix of the slots.

    Returns
    -------
    Options of the trial with the largest value, the first one of equals: those that differ from the defaults of the
    model, and those that were given to `tl.tune` as ``model_options``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.tune` has not run for this model yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.tune(adata, "cell_type", model="xgboost", n_trials=2, model_options={"n_estimators": 5})
    >>> smg.get.tuned_options(adata, "xgboost")
    {'n_estimators': 5}
    """
    _trials(adata, model, key)
    return json.loads(slots.recorded(adata, of_tuning.slot_of(key), model)["best_options"])


def _trials(adata: AnnData, model: str | None, key: str) -> pd.DataFrame:
    table = of_tuning.tuning(adata, key)
    known = list(dict.fromkeys(table["model"]))
    found = table if model is None else table[table["model"] == model]
    if not len(found):
        of = "" if model is None else f" of the model {model!r}"
        call = "tl.tune" if model is None else f"tl.tune(adata, groupby, model={model!r})"
        tuned = f" Tuned so far: {join_names(known)}." if known else ""
        slot = of_tuning.slot_of(key)
        raise NotFoundError(f"adata.uns[{slot!r}] holds no tuned options{of}; run {call} first.{tuned}")
    return found
