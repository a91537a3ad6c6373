"""Panels of as many genes as classes: are other settings, or those that `tl.panel(tune=True)` finds, better?

Four stratified 70/30 splits of each set (seeds 400 to 403, which took part in no choice); leak-free kNN(3). Differences
from the default in percentage points; standard errors over sets × splits.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import record

GROUPBY = "cell_type"
SETS = ("pbmc3k", "paul15", "zeisel")
SETTINGS = {  # τ per gene, prior
    "default": (0.3, 0.0),
    "prior=0.5": (0.3, 0.5),
    "softer": (0.4, 0.5),
    "softest": (0.6, 0.5),
    "sharper": (0.2, 0.0),
}
TUNED = "tune=True"
LEAST_TAU = 2.0
SEEDS = (400, 401, 402, 403)
METRICS = ("misclassification", "macro_1_minus_recall")


def main(arguments: list[str]) -> None:
    """Append one line per set, split and setting as soon as it is there, if the file lacks it; print differences."""
    parser = record.parser("panel_tuning")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--settings", nargs="+", default=[*SETTINGS, TUNED], choices=[*SETTINGS, TUNED])
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for name in options.sets:
        for row in judged(options.data, name, options.settings, there=done(options.json)):
            record.write(options.json, [{"benchmark": "panel_tuning"} | row])
            print(*row.values(), flush=True)
    rows = map(json.loads, options.json.read_text().splitlines())
    values = pd.DataFrame(rows).set_index(["setting", "set", "seed"])[list(METRICS)]
    for setting in values.index.unique("setting"):
        apart = values.loc[setting] - values.loc["default"]
        print(setting, apart.mean().round(2).to_dict(), "standard errors", apart.sem().round(2).to_dict())


def done(path: Path) -> set[tuple]:
    """Set, seed and setting of the lines in the file."""
    rows = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    return {(row["set"], row["seed"], row["setting"]) for row in rows}


def judged(folder: Path, name: str, settings: list[str], *, there: set[tuple]) -> Iterator[dict[str, Any]]:
    """One row per split and setting that is not there; metrics in percent."""
    import anndata as ad

    import smash_gpu as smg
    from smash_gpu import evaluation
    from smash_gpu.annotated.read import read
    from smash_gpu.data import splits

    adata = ad.read_h5ad(folder / f"{name}.h5ad")
    data = read(adata, {"groupby": GROUPBY, "min_cells": 10})
    for seed in SEEDS:
        split = splits.stratified(data.labels, test_fraction=0.3, random_state=seed)
        for setting in settings:
            if (name, seed, setting) in there:
                continue
            cells, start = adata[data.cells[split.train]].copy(), time.process_time()
            smg.tl.panel(cells, GROUPBY, n_genes=data.n_groups, min_cells=0, **panel_options(setting, data.n_groups))
            seconds = time.process_time() - start
            genes = adata.var_names.get_indexer(smg.get.panel(cells))
            predicted = evaluation.predict(data.host_expression(genes), data.labels, split, scale_on_all=False)
            found = evaluation.metrics_of_labels(data.labels[split.test], predicted)
            yield (
                {"setting": setting, "set": name, "column": GROUPBY, "n_genes": data.n_groups, "seed": seed}
                | {metric: 100 * float(found[metric]) for metric in METRICS}
                | {"seconds": round(seconds, 2)}
                | (tuned_options(cells) if setting == TUNED else {})
            )


def panel_options(setting: str, n_genes: int) -> dict[str, Any]:
    """What `tl.panel` is given."""
    if setting == TUNED:
        return {"tune": True}
    of_size, prior = SETTINGS[setting]
    return {"tau": max(LEAST_TAU, of_size * n_genes), "prior": prior}


def tuned_options(cells: Any) -> dict[str, float]:
    """The settings that tuning chose."""
    import smash_gpu as smg

    table = smg.get.panel_table(cells, "tuning")
    return table.loc[table["chosen"], ["tau", "prior", "variation"]].fillna(0.0).iloc[0].to_dict()
