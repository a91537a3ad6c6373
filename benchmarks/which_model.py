"""What each model is good at: panels, specific markers, lists that stay the same, accuracy, time.

A unit is that of `quality`. A split holds out 30 % of each class; `tl.smash` with default settings sees the rest, and
is run on one split with two seeds and on another with the first. Panels of `get.marker_panel` are judged on the
held-out cells by kNN(3) and logistic regression, as in `quality`; markers by the expression of the held-out cells: τ,
and NS-Forest's on-target fraction and F-beta (of the first markers of a class together: a cell is predicted to belong
to the class if it is above the threshold of all of them). One line per unit, model, split and seed; lines already in
the file are not computed again. ``--table`` writes the tables of ``docs/which-model.md``, between their marks.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import quality, record

MODELS = ("rf", "brf", "xgboost", "dnn")
FIRST, SECOND = 31, 32
RUNS = ((FIRST, FIRST), (FIRST, SECOND), (SECOND, FIRST))  # split and seed
TOGETHER = (1, 2, 5)  # markers of a class that predict it together
KEY = ("set", "groupby", "model", "split", "seed")


def main(arguments: list[str]) -> None:
    """Run what is missing from the file, or write the tables into the page."""
    from benchmarks import which_model_table

    options = record.parser("which_model")
    options.add_argument("--sets", nargs="+", default=list(quality.UNITS), help="set, or set:column of labels")
    options.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options.add_argument("--table", action="store_true", help="only write the tables from the JSON lines")
    options.add_argument("--page", type=Path, default=which_model_table.PAGE)
    options = options.parse_args(arguments)
    if not options.table:
        warnings.simplefilter("ignore")
        for row in missing(options):
            record.write(options.json, [row])
            print({name: value for name, value in row.items() if name not in ("markers", "panels")}, flush=True)
    record.put(options.page, which_model_table.tables(options.json))


def missing(options: Any) -> Iterator[dict]:
    """The lines that the file does not have yet."""
    done = {tuple(row[name] for name in KEY) for row in quality.lines(options.json)}
    units = [unit for unit in quality.UNITS if {unit, unit.partition(":")[0]} & set(options.sets)]
    for unit, model, (split, seed) in product(units, options.models, RUNS):
        where = dict(zip(KEY, (*unit.split(":"), model, split, seed), strict=True))
        if tuple(where.values()) not in done:
            yield {"benchmark": "which_model"} | where | measured(options.data, where)


def measured(folder: Path, where: dict) -> dict:
    """One selection on the training cells of a split, and what is measured of it."""
    import smash_gpu as smg

    name, groupby, model, split, seed = where.values()
    import_all(model)
    data = quality.read(folder, name, groupby)
    parts = quality.held_out(data, split)
    adata = annotated(folder, name, data, parts.train, groupby)
    start, cpu = time.perf_counter(), time.process_time()
    smg.tl.smash(adata, groupby, model=model, random_state=seed, device="cpu")
    row: dict[str, Any] = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    row |= {"n_cells": len(data.cells), "n_groups": data.n_groups, "accuracy": float(adata.uns["smash"]["accuracy"][0])}
    row["markers"] = smg.get.markers_dict(adata)
    row |= specific(annotated(folder, name, data, parts.test, groupby), groupby, row["markers"])
    row["panels"] = {str(k): panel for k in quality.BUDGETS if len(panel := panel_of(adata, k)) == k}
    number = {gene: g for g, gene in enumerate(data.names)}
    for k, panel in row["panels"].items():
        chosen = quality.Chosen(np.array([number[gene] for gene in panel]))
        found = quality.judged(data, parts, chosen, int(k))
        row |= {f"{prefix}M_{k}": found[f"{prefix}misclassification"] for prefix in quality.CLASSIFIERS.values()}
    return row


@cache
def import_all(model: str) -> None:
    """Use the model once on a few cells, so that no run is longer by what it imports first."""
    import smash_gpu as smg

    smg.tl.smash(smg.datasets.planted(), "cell_type", model=model, device="cpu")


def annotated(folder: Path, name: str, data: Any, cells: np.ndarray, groupby: str) -> Any:
    """The numbered cells of a unit, with the classes of `quality` as labels."""
    import anndata as ad
    import pandas as pd

    adata = ad.read_h5ad(folder / f"{name}.h5ad")[data.cells[cells]].copy()
    adata.obs[groupby] = pd.Categorical(data.groups[data.labels[cells]].astype(str))
    return adata


def panel_of(adata: Any, n_genes: int) -> list[str]:
    """`get.marker_panel`; fewer genes where fewer have a score."""
    import smash_gpu as smg
    from smash_gpu.annotated import slots

    return smg.get.marker_panel(adata, min(n_genes, slots.n_scored(adata, slots.KEY)))


def specific(adata: Any, groupby: str, markers: dict[str, list[str]]) -> dict:
    """How specific markers are for their classes on these cells; means over classes, NaN left out.

    ``tau``: over the markers; ``on_target``: the share of the class in a marker's medians, median over its markers;
    ``f_beta_n``: of the first n markers of a class.
    """
    import smash_gpu as smg
    from smash_gpu.annotated.read import read
    from smash_gpu.selection.effects import specificity

    data = read(adata, {"groupby": groupby, "device": "cpu"})
    tau = dict(zip(data.names, specificity(data.stats.mean), strict=True))
    found = {"tau": mean([tau[gene] for genes in markers.values() for gene in genes])}
    for n in TOGETHER:
        first = {group: genes[:n] for group, genes in markers.items() if genes}
        smg.tl.nsforest_metrics(adata, groupby, markers=first)
        table = smg.get.nsforest_metrics(adata)
        found |= {"on_target": mean(table["on_target"]), f"f_beta_{n}": mean(table["f_beta"])}
    return found


def mean(values: Any) -> float | None:
    """Mean without NaN; None if nothing else is there, which JSON can hold."""
    numbers = np.asarray(values, dtype=float)
    return float(np.nanmean(numbers)) if np.isfinite(numbers).any() else None
