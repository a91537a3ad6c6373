"""Results in AnnData: every key is spelled here once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import of_models, origin
from smash_gpu.annotated.columns import mask_of
from smash_gpu.annotated.features import of_all_features, only_genes
from smash_gpu.annotated.source import EARLIER, Earlier, Source, require_annotated
from smash_gpu.annotated.storable import plain, require_storable, storable
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.runtime import versions
from smash_gpu.runtime.words import did_you_mean

KEY = "smash"
PANEL, VALIDATION, TRANSFER = "smash_panel", "smash_validation", "smash_transfer"
JUDGED = (
    "evaluation", "confusion", "evaluation_groups", "evaluation_panels", "evaluation_not_judged", "nsforest",
    "nsforest_markers", "spapros", "spapros_genes", "spapros_markers")  # fmt: skip
ACCURACY = ("accuracy", "nearest_mean", "group_accuracy", "training_cells")
STABILITY = ("stability", "stability_overlap", "substitutes")
MADE_FROM = "made_from"
OF_SCORES = ("spread", "auc", "eligible", "spare", "mean", "variance", "fraction")  # in varm, made with or of them
STALE = ("markers", *JUDGED, *STABILITY, MADE_FROM)
# what is made in one go, by its first slot: how to make it again; names of its other slots begin alike, or stand below
SCORES, MARKERS, EVALUATION, DESIGN, VALIDATED = "groups", "markers", "evaluation", "panel", "checks"
TRANSFERRED = "metrics"
MAKE_AGAIN = {
    SCORES: "tl.smash", MARKERS: "tl.smash", EVALUATION: "tl.evaluate", "nsforest": "tl.nsforest_metrics",
    "spapros": "tl.spapros_metrics", "stability": "tl.stability", DESIGN: "tl.panel", VALIDATED: "tl.validate",
    TRANSFERRED: "tl.transfer",
}  # fmt: skip
NAMED_IN = {  # by result, the slot with the names of its genes
    MARKERS: "markers", EVALUATION: "evaluation_panels", "stability": "stability", DESIGN: "genes", VALIDATED: "genes",
}  # fmt: skip
MADE_WITH = dict.fromkeys(ACCURACY, SCORES) | {"confusion": EVALUATION, "substitutes": "stability"}


def recorded(adata: AnnData, key: str, step: str = "source") -> dict[str, Any]:
    """The options that a step noted in ``uns[key]["params"]``; empty if it has not run."""
    options = adata.uns.get(key, {}).get("params", {}).get(step, {})
    return {name: plain(value) for name, value in options.items()}


def source(
    adata: AnnData,
    key: str,
    *,
    groupby: str | Earlier = EARLIER,
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    sample_key: str | None | Earlier = EARLIER,
    batch_key: str | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
) -> dict[str, Any]:
    """``groupby`` and the options of `Source`: the given ones, else those of the earlier step, else the defaults.

    Raises
    ------
    TypeError, ValueError
        If ``adata`` is a path, or ``key`` cannot be used.
    """
    require_annotated(adata)
    require_storable(key)
    options = {
        "groupby": groupby, "layer": layer, "use_raw": use_raw, "normalize": normalize, "gene_symbols": gene_symbols,
        "min_cells": min_cells, "sample_key": sample_key, "batch_key": batch_key, "device": device,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not EARLIER}
    return vars(Source()) | recorded(adata, key) | given


def start(adata: AnnData, key: str) -> None:
    """Forget the results and options of an earlier selection."""
    _forget(adata, key)
    adata.uns[key] = {}


def record(adata: AnnData, key: str, step: str, options: Mapping[str, Any]) -> None:
    """Note the options of a step, and the versions that ran it, in ``uns[key]["params"]``."""
    params = adata.uns.get(key, {}).get("params", {})
    _update(adata, key, {"params": params | {step: storable(options), "versions": versions.installed()}})


def held(adata: AnnData, slot: str, key: str, step: str) -> Any:
    """``adata.uns[key][slot]``, or an error that names the step that makes it."""
    try:
        return adata.uns[key][slot]
    except KeyError:
        raise NotFoundError(f"adata.uns[{key!r}] holds no {slot}; run {step} first.") from None


def require(adata: AnnData, slot: str, key: str, step: str) -> Any:
    """`held`, with a warning if the cells, genes or labels that it was made from have changed since."""
    found = held(adata, slot, key, step)
    warn_if_changed(adata, key, _result_of(slot))
    return found


def _result_of(slot: str) -> str:
    return MADE_WITH.get(slot) or next((result for result in MAKE_AGAIN if slot.startswith(result)), DESIGN)


def changes(adata: AnnData, key: str, result: str) -> str:
    """What has changed since ``result`` (`SCORES`, `MARKERS`, …) was made, in words; empty if nothing has.

    Genes that are gone are no change where all genes that the result names are still there.
    """
    found = adata.uns.get(key, {})
    made_from, table = found.get(MADE_FROM, {}).get(result), found.get(NAMED_IN.get(result, ""))
    if made_from is None:
        return ""
    return origin.changes(adata, made_from, named=None if table is None else set(table["name"].astype(str)) - {""})


def warn_if_changed(adata: AnnData, key: str, result: str) -> None:
    """Warn with what has changed since ``result`` was made."""
    if changed := changes(adata, key, result):
        warn(f"the results in adata.uns[{key!r}] are of other data: {changed} since. Run {MAKE_AGAIN[result]} again.")


def note_origin(adata: AnnData, key: str, result: str, source: Mapping[str, Any], *more: str | None) -> None:
    """Note what ``result`` is made from: cells, genes, and the columns of ``source`` and ``more`` with their labels."""
    columns = [source.get(name) for name in ("groupby", "sample_key", "batch_key")] + list(more)
    made_from = origin.of(adata, [column for column in columns if column is not None])
    _update(adata, key, {MADE_FROM: {**adata.uns.get(key, {}).get(MADE_FROM, {}), result: made_from}})


def candidates(adata: AnnData, key: str) -> np.ndarray:
    """Mask of the candidates among the genes, features of other kinds left out; all where no filter has run."""
    table, column = only_genes(adata, adata.var), f"{key}_candidate"
    return mask_of(table, column, "candidates") if column in table else np.ones(len(table), dtype=bool)


def write_candidates(adata: AnnData, mask: np.ndarray, ledger: pd.DataFrame, key: str) -> None:
    """Fill ``.var["smash_candidate"]`` and ``.uns["smash"]["filters"]``."""
    adata.var[f"{key}_candidate"] = of_all_features(adata, mask)
    _update(adata, key, {"filters": ledger})


def scores(adata: AnnData, key: str) -> np.ndarray:
    """Importance of every feature of ``adata``; groups × features, NaN where there is none."""
    if key not in adata.varm:
        raise NotFoundError(f"adata.varm holds no {key!r}; run tl.importance or tl.smash first.")
    warn_if_changed(adata, key, SCORES)
    return np.asarray(adata.varm[key]).T


def write_scores(adata: AnnData, scores: Any, groups: np.ndarray, key: str) -> None:
    """Fill all slots of scores and accuracy, see `tl.importance`."""
    _forget(adata, key)
    adata.varm[key] = of_all_features(adata, scores.mean).T
    adata.var[f"{key}_importance"] = of_all_features(adata, scores.importance)
    of_models.write(adata, scores.by_model, key)
    if not np.isnan(scores.spread).all():
        adata.varm[f"{key}_spread"] = of_all_features(adata, scores.spread).T
    adata.varm[f"{key}_auc"] = of_all_features(adata, scores.auc).T
    _update(adata, key, {"groups": groups} | {name: getattr(scores, name) for name in ACCURACY})
    _note_origin_of_selection(adata, key, SCORES)


def importance(adata: AnnData, key: str, *, what: str = "") -> np.ndarray:
    """How much the model uses each feature; NaN for no candidates. ``what`` is the option that named ``key``."""
    if f"{key}_importance" not in adata.var:
        near = did_you_mean(f"{key}_importance", [name for name in adata.var if name.endswith("_importance")])
        missing = f"{what}={key!r}: " * bool(what) + f"adata.var holds no '{key}_importance'; run tl.smash or"
        raise NotFoundError(f"{missing} tl.importance with this key= first.{near}")
    warn_if_changed(adata, key, SCORES)
    return adata.var[f"{key}_importance"].to_numpy(dtype=np.float32)


def _note_origin_of_selection(adata: AnnData, key: str, result: str) -> None:
    note_origin(adata, key, result, recorded(adata, key), recorded(adata, key, "within").get("column"))


def auc(adata: AnnData, key: str) -> np.ndarray:
    """Area under the ROC curve of every gene; groups × genes, NaN where it is not known."""
    found = adata.varm.get(f"{key}_auc")
    return np.full(scores(adata, key).shape, np.nan, dtype=np.float32) if found is None else np.asarray(found).T


def eligible_scores(adata: AnnData, key: str, *, spare: bool = False) -> np.ndarray:
    """`scores` with NaN where a gene may not be a marker; ``spare``: those of genes that may only complete a panel."""
    found, allowed = scores(adata, key), adata.varm.get(f"{key}_{'spare' if spare else 'eligible'}")
    if allowed is None:
        return np.full_like(found, np.nan) if spare else found
    return np.where(np.asarray(allowed).T, found, np.nan)


def n_scored(adata: AnnData, key: str) -> int:
    """How many genes a panel of markers can have."""
    both = [eligible_scores(adata, key, spare=spare) for spare in (False, True)]
    return int((~np.isnan(both)).any(axis=(0, 1)).sum())


def write_markers(
    adata: AnnData,
    table: pd.DataFrame,
    eligible: np.ndarray,
    spare: np.ndarray,
    *,
    profiles: Mapping[str, np.ndarray],
    key: str,
) -> None:
    """Fill ``["markers"]`` of ``.uns``, ``.var["smash_marker"]``, and of ``.varm`` what is groups × genes here."""
    _update(adata, key, {"markers": table})
    adata.var[f"{key}_marker"] = adata.var_names.astype(str).isin(table["name"])
    adata.varm[f"{key}_eligible"] = of_all_features(adata, ~np.isnan(eligible)).T
    adata.varm[f"{key}_spare"] = of_all_features(adata, ~np.isnan(spare)).T
    for what, values in profiles.items():
        adata.varm[f"{key}_{what}"] = of_all_features(adata, values).T
    _note_origin_of_selection(adata, key, MARKERS)


def profile(adata: AnnData, what: str, key: str) -> np.ndarray:
    """``.varm["smash_mean"]``, ``["smash_variance"]`` or ``["smash_fraction"]`` as groups × genes."""
    if f"{key}_{what}" not in adata.varm:
        raise NotFoundError(f"adata.varm holds no {key}_{what}; run tl.rank_markers or tl.smash first.")
    warn_if_changed(adata, key, MARKERS)
    return np.asarray(adata.varm[f"{key}_{what}"]).T


def write_evaluation(
    adata: AnnData,
    table: pd.DataFrame,
    confusions: np.ndarray,
    *,
    groups: np.ndarray,
    panels: pd.DataFrame,
    not_judged: Sequence[str],
    options: Mapping[str, Any],
    key: str,
) -> None:
    """Fill ``["evaluation"]``, ``["confusion"]`` and what begins with ``evaluation_`` in ``.uns``."""
    record(adata, key, "evaluation", options)
    note_origin(adata, key, EVALUATION, options)
    found = {"evaluation": table, "confusion": confusions, "evaluation_groups": groups, "evaluation_panels": panels}
    _update(adata, key, found | {"evaluation_not_judged": np.array(not_judged, dtype=object)})


def write_tables(adata: AnnData, step: str, tables: Mapping[str, pd.DataFrame], options: Mapping, *, key: str) -> None:
    """Note the options of a step, those of `Source` included, and fill ``.uns["smash"]`` with its tables."""
    record(adata, key, step, options)
    note_origin(adata, key, step, options)
    _update(adata, key, tables)


def write_panel(
    adata: AnnData,
    *,
    tables: Mapping[str, pd.DataFrame],
    mask: np.ndarray,
    options: Mapping[str, Any],
    columns: Iterable[str],
    key: str,
) -> None:
    """Fill ``.var["smash_panel"]`` and ``.uns["smash_panel"]``: its tables, and the options in ``["params"]``."""
    adata.uns[key] = dict(tables)
    record(adata, key, "panel", options)
    note_origin(adata, key, DESIGN, {name: options[name] for name in ("sample_key", "batch_key")}, *columns)
    adata.var[key] = mask


def _update(adata: AnnData, key: str, slots: Mapping[str, Any]) -> None:
    """Set slots of ``uns[key]`` in a new mapping, since a view shares the old one with the whole."""
    adata.uns[key] = {**adata.uns.get(key, {}), **slots}


def _forget(adata: AnnData, key: str) -> None:
    """Drop scores and what was made of them."""
    of_models.forget(adata, key)
    for name in (key, *(f"{key}_{what}" for what in OF_SCORES)):
        if name in adata.varm:
            del adata.varm[name]
    for name in (f"{key}_marker", f"{key}_importance"):
        if name in adata.var:
            del adata.var[name]
    adata.uns[key] = {name: value for name, value in adata.uns.get(key, {}).items() if name not in STALE}
