"""Slots of tuned options, in ``uns`` by the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots

LABELS = "labels"  # of `origin.of`, one for every cell


def slot_of(key: str) -> str:
    """The slot of ``uns`` for tuned options, which a new selection leaves as it is."""
    return f"{key}_tuning"


def write(
    adata: AnnData,
    model: str,
    trials: pd.DataFrame,
    options: Mapping[str, Any],
    *,
    made_from: Mapping[str, Any] | None = None,
    key: str,
) -> None:
    """Fill ``.uns["smash_tuning"]``: one row per trial, those of other models stay; by model the options.

    Parameters
    ----------
    made_from
        `made_from` of the data that the options were tuned on; None: they are ``adata``.
    """
    slot, table = slot_of(key), trials.assign(model=model)
    if slot in adata.uns:
        others = adata.uns[slot]["trials"]
        table = pd.concat([others[others["model"] != model], table], ignore_index=True)
    slots.record(adata, slot, model, options)
    if made_from is None:
        slots.note_origin(adata, slot, model, options)
    else:
        noted = {**adata.uns[slot].get(slots.MADE_FROM, {}), model: slots.storable(made_from)}
        adata.uns[slot] = {**adata.uns[slot], slots.MADE_FROM: noted}
    adata.uns[slot] = {**adata.uns[slot], "trials": table}


def made_from(adata: AnnData, model: str, key: str) -> dict[str, Any]:
    """What the options of a model were tuned on, in plain values, without the label of every cell."""
    noted = adata.uns[slot_of(key)][slots.MADE_FROM][model]
    return {name: slots.plain(value) for name, value in noted.items() if name != LABELS}


def tuning(adata: AnnData, key: str) -> pd.DataFrame:
    """The trials of all models that were tuned; no rows if none was."""
    found = adata.uns.get(slot_of(key), {}).get("trials")
    return pd.DataFrame({"model": []}, dtype=object) if found is None else found
