"""Panels of as many genes as classes: is a setting that is chosen by inner cross-validation better than the default?

Four stratified 70/30 splits of each set (seeds 400 to 403, which took part in no choice); leak-free kNN(3). "chosen":
of the settings ``SETTINGS`` the one with the fewest cells misclassified by kNN(3) in five folds of the training cells,
twice. Differences from the default in percentage points; standard errors over sets × splits.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import record

COLUMNS = (("pbmc3k", "cell_type"), ("paul15", "cell_type"), ("zeisel", "cell_type"))
SETTINGS = {
    "default": (0.3, 0.0),
    "prior=0.5": (0.3, 0.5),
    "softer": (0.4, 0.5),
    "softest": (0.6, 0.5),
    "sharper": (0.2, 0.0),
}
FIRST_SEED, N_SPLITS, N_FOLDS, REPEATS = 400, 4, 5, 2
METRICS = ("misclassification", "macro_1_minus_recall")


def main(arguments: list[str]) -> None:
    """Append one line per set, split and setting as soon as it is there, if the file lacks it; print differences."""
    parser = record.parser("panel_tuning")
    parser.add_argument(
        "--fixed", action="store_true", help="only the settings, without the choice, which takes longest"
    )
    parser.add_argument("--sets", nargs="+", default=[name for name, _ in COLUMNS])
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    rows = []
    for name, column in (unit for unit in COLUMNS if unit[0] in options.sets):
        for of_split in judged(options.data, name, column, choose=not options.fixed):
            there = done(options.json)
            new = [row for row in of_split if (row["set"], row["seed"], row["setting"]) not in there]
            record.write(options.json, [{"benchmark": "panel_tuning"} | row for row in new])
            rows += of_split
            print(
                name, of_split[0]["seed"], {row["setting"]: round(row[METRICS[0]], 2) for row in of_split}, flush=True
            )
    values = pd.DataFrame(rows).set_index(["setting", "set", "seed"])[list(METRICS)]
    for setting in dict.fromkeys(row["setting"] for row in rows):
        apart = values.loc[setting] - values.loc["default"]
        print(setting, apart.mean().round(2).to_dict(), "standard errors", apart.sem().round(2).to_dict())


def done(path: Path) -> set[tuple]:
    """Set, seed and setting of the lines in the file."""
    rows = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    return {(row["set"], row["seed"], row["setting"]) for row in rows}


def judged(folder, name: str, column: str, *, choose: bool) -> Iterator[list[dict]]:
    """One row per setting, split by split; metrics in percent."""
    import anndata as ad

    from smash_gpu import panel
    from smash_gpu.annotated.read import read
    from smash_gpu.data import splits

    data = read(ad.read_h5ad(folder / f"{name}.h5ad"), {"groupby": column, "min_cells": 10})
    X, allowed = data.host_expression(np.arange(len(data.names))), allowed_of(data)
    for seed in range(FIRST_SEED, FIRST_SEED + N_SPLITS):
        split = splits.stratified(data.labels, test_fraction=0.3, random_state=seed)
        start = time.process_time()
        inside = pd.DataFrame(
            inner(data, X, allowed, split.train, seed) if choose else [], columns=["setting", "error"]
        )
        chosen = inside.groupby("setting", sort=False)["error"].mean().idxmin() if choose else None
        seconds = time.process_time() - start
        panels = dict(designed(data, X, allowed, split.train))
        if seed == FIRST_SEED:
            same = panel.choose(data.n_groups)(data.only(data.cells[split.train]))
            assert len(set(panels["default"]) & set(same)) >= data.n_groups - 1, "that of tl.panel, but for rounding"
        found = {setting: error_of(data, X, split, genes) for setting, genes in panels.items()}
        yield [
            {"setting": setting, "set": name, "column": column, "n_genes": data.n_groups, "seed": seed}
            | {metric: 100 * float(found[chosen if setting == "chosen" else setting][metric]) for metric in METRICS}
            | ({"chosen": chosen, "seconds": seconds} if setting == "chosen" else {})
            for setting in (*SETTINGS, *(["chosen"] if choose else []))
        ]


def allowed_of(data) -> np.ndarray:
    """Genes that `tl.panel` may choose."""
    from smash_gpu.panel import Level, Request, prepare
    from smash_gpu.panel.request import OUT

    return prepare(data, [Level("group", data.group, data.groups)], Request()).found.tier < OUT


def inner(data, X, allowed, cells, seed):
    """Settings and their errors in each fold of the training cells."""
    from sklearn.model_selection import StratifiedKFold

    from smash_gpu.data.splits import Split

    for repeat in range(REPEATS):
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=100 * seed + repeat)
        for train, test in folds.split(cells, data.labels[cells]):
            for setting, genes in designed(data, X, allowed, cells[train]):
                yield setting, error_of(data, X, Split(cells[train], cells[test]), genes)[METRICS[0]]


def designed(data, X, allowed, cells):
    """Each setting and its panel of as many genes as classes, as `tl.panel` chooses it on these cells."""
    from smash_gpu.panel.greedy import Gains
    from smash_gpu.panel.objective import Objective
    from smash_gpu.panel.profiles import Profiles

    n, group = data.n_groups, data.labels[cells]
    size, values = np.bincount(group, minlength=n), X[cells]
    share = (np.arange(n)[:, None] == group) / size[:, None].astype(np.float32)
    mean = share @ values
    variance = np.maximum(share @ values**2 - mean**2, 0)
    profiles = Profiles(mean.astype(np.float64), variance.astype(np.float64))
    first, second = np.triu_indices(n, 1)
    size = size / len(group)
    for setting, (of_size, prior) in SETTINGS.items():
        weight = (size[first] * size[second]) ** (prior / 2)
        objective = Objective(profiles, first, second, weight / weight.sum(), max(2.0, of_size * n))
        gains, free, genes = Gains(objective, data.names), allowed.copy(), []
        for _ in range(n):
            genes.append(gains.best(free))
            free[genes[-1]] = False
            gains.take(genes[-1])
        yield setting, np.sort(genes)


def error_of(data, X, split, genes) -> dict[str, float]:
    """Metrics of held-out cells by kNN(3) on these genes."""
    from smash_gpu import evaluation

    predicted = evaluation.predict(X[:, genes], data.labels, split, scale_on_all=False)
    return evaluation.metrics_of_labels(data.labels[split.test], predicted)
