"""From the options of `tl.panel` to its slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import panel as design
from smash_gpu.annotated import slots
from smash_gpu.annotated.columns import column, mask_of
from smash_gpu.annotated.features import of_all_features, only_genes
from smash_gpu.annotated.gene_table import annotation
from smash_gpu.annotated.read import groups_of, read, read_all
from smash_gpu.annotated.source import Source
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.stages import Work
from smash_gpu.errors import warn
from smash_gpu.panel import Request, label_free
from smash_gpu.panel.expression import with_levels
from smash_gpu.panel.fitting import fitted, in_words, on_platform, sizes_of, with_sizes
from smash_gpu.panel.levels import in_classes
from smash_gpu.panel.platforms import Platform, platform_of
from smash_gpu.panel.remarks import on_hla, remarks
from smash_gpu.panel.request import MIN_CELLS
from smash_gpu.panel.tables import tables
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.tl import _summaries
from smash_gpu.tl._panel_tuning import tuned


def design_into(
    adata: AnnData,
    columns: Mapping[str, float],
    options: Mapping[str, Any],
    source: Source,
    *,
    platform: str | Path | None,
    length_key: str | None,
    gene_table: pd.DataFrame | Path | None,
    mask_var: str | None,
    memory: int | str | None,
    work: str | Path | Work | None,
    key: str,
    weights: str | None = None,
    random_state: int = 0,
) -> None:
    """Design a panel by the options of `Request`, and fill the slots."""
    request, preset = Request.of(options), None if platform is None else platform_of(platform)
    with limit(memory):
        if not columns:
            of_classes = {"weights": weights, "sample_key": source.sample_key, "min_cells": source.min_cells}
            label_free.refuse(request, of_classes)
        data, levels = read_levels(adata, columns, source, request.ignore, work)
        request, var, fit = _fit(preset, request, data, annotation(adata, gene_table, source.gene_symbols), length_key)
        mask = None if mask_var is None else mask_of(var, mask_var, "mask_var")
        important = None if weights is None else only_genes(adata, slots.importance(adata, weights, what="weights"))
        how: dict[str, Any] = {"table": var, "mask": mask, "importance": important}
        tuning = {}
        if request.tune:
            request, tuning["tuning"] = tuned(data, levels, request, random_state=random_state, **how)
            say(_summaries.of_panel_tuning(tuning["tuning"]))
        found = design.design(design.prepare(data, levels, request, **how))
        written = tables(found) | in_classes(found) | {"platform": with_sizes(fit, sizes_of(found))} | tuning
        for sentence in chain(on_platform(found, preset), remarks(found, written)):
            warn(sentence)
    more: dict[str, Any] = {
        "groupby": columns or None,
        "mask_var": mask_var,
        "weights": weights,
        "tau": found.objective.tau,
        "random_state": random_state,
    }
    noted = asdict(request) | more | vars(source)
    noted |= {"platform": None if preset is None else preset.name, "length_key": length_key}
    chosen = of_all_features(adata, np.isin(np.arange(len(data.names)), found.panel))
    slots.write_panel(
        adata, tables=written, mask=chosen, options=without_labels_as_keys(noted), columns=columns, key=key
    )
    say(_summaries.of_panel(written))
    if note := on_hla(written["genes"]["symbol"], request):
        say(note)


def _fit(
    preset: Platform | None, request: Request, data: Dataset, var: pd.DataFrame, length_key: str | None
) -> tuple[Request, pd.DataFrame, pd.DataFrame]:
    """The request with the limits of a platform, the annotation of the genes with what they need, and their table."""
    var = with_levels(var, data, {*request.limits, *(preset.numbers if preset else ())})
    why = data.known.why_no_counts
    request, table = fitted(preset, request, var.columns, length_key=length_key, why_no_counts=why)
    if data.n_groups == 1:
        request, table = label_free.with_all_sets(request, table)
    if preset is not None:
        say(in_words(preset, table))
    return request, var, table


def read_levels(
    adata: AnnData,
    columns: Mapping[str, float],
    source: Source,
    ignored: Sequence[str] = (),
    work: str | Path | Work | None = None,
) -> tuple[Dataset, list[design.Level]]:
    """The data, and the classes of every label column with its weight; without a column, all cells as one class."""
    if not columns:
        return read_all(adata, vars(source), work), [label_free.all_cells(adata.n_obs)]
    fewest = MIN_CELLS if source.min_cells is None else source.min_cells
    where = vars(source) | {"groupby": next(iter(columns)), "min_cells": fewest}
    data = read(adata, where, work, ignored=ignored)
    coded = {name: groups_of(adata, name, fewest, ignored=ignored) for name in list(columns)[1:]}
    levels = [
        design.Level(name, *coded.get(name, (data.group, data.groups)), float(weight))
        for name, weight in columns.items()
    ]
    _check_samples(adata, levels, vars(source))
    return data, levels


def _check_samples(adata: AnnData, levels: list[design.Level], source: Mapping[str, Any]) -> None:
    """Every cell with a label needs a sample and a batch; `read` checks the first column only."""
    used = np.any([level.code >= 0 for level in levels], axis=0)
    for what in ("sample_key", "batch_key"):
        name = source.get(what)
        if name is not None and column(adata.obs, name, "obs")[used].isna().any():
            raise ValueError(f"some labelled cells have no value in {what}={name!r}; fill them in first.")


def columns_of(groupby: str | Sequence[str] | Mapping[str, float] | None, variation: float = 0.0) -> dict[str, float]:
    """Label columns and their weights; none for a panel by the variation alone.

    Raises
    ------
    ValueError
        If there is none, and classes count.
    """
    if groupby is None:
        if variation == 1:
            return {}
        raise ValueError(
            "groupby is None, but the choice needs classes; pass a column with classes, or variation=1 for a panel by "
            "the variation alone, without classes."
        )
    if isinstance(groupby, str):
        return {groupby: 1.0}
    columns = dict(groupby) if isinstance(groupby, Mapping) else dict.fromkeys(groupby, 1.0)
    if not columns:
        raise ValueError("groupby names no column.")
    return columns


def without_labels_as_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with each mapping as a list of values, since labels such as ``NK/T`` cannot be keys in a file."""
    return {name: _listed(value) if isinstance(value, Mapping) else value for name, value in options.items()}


def _listed(options: Mapping[Any, Any]) -> list[str]:
    return [f"{' | '.join(name) if isinstance(name, tuple) else name} = {value}" for name, value in options.items()]
