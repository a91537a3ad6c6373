"""What tuning gains: models with tuned and with default options, on cells that took no part in the tuning.

30 % of each class are held out, as in `benchmarks.quality`. `tl.tune`'s search runs on the other cells; then a model
with the defaults and one with the best options learn from these (80 %, the rest stops early), and predict the held-out
cells from all candidates. ``value`` is what the search saw: macro F1 on its own held-out cells. ``knn_*``: kNN(3) on
the panel of 30 genes that `tl.smash` chooses with these options from the same training cells. One line per set, seed,
model and options is appended.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import quality, record
from benchmarks.quality import Chosen
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split

SETS, MODELS, SEEDS = ("pbmc3k:cell_type", "paul15:cell_type"), ("xgboost", "dnn"), (31, 32)
PANEL = 30
METRICS = ("accuracy", "f1_macro")


def main(arguments: list[str]) -> None:
    """Print and append the lines that are missing, and print the table."""
    options = record.parser("tuning")
    options.add_argument("--sets", nargs="+", default=list(SETS), help="set:column of labels")
    options.add_argument("--models", nargs="+", default=list(MODELS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--trials", type=int, default=15)
    options.add_argument("--table", action="store_true", help="only print the table of the JSON lines")
    options = options.parse_args(arguments)
    if not options.table:
        warnings.simplefilter("ignore")
        done = {(row["set"], row["seed"], row["model"], row["trials"]) for row in quality.lines(options.json)}
        for unit in options.sets:
            for seed in options.seeds:
                for model in options.models:
                    if (unit, seed, model, options.trials) not in done:
                        record.write(options.json, list(compared(options, unit, seed, model)))
    print(table(options.json))


def compared(options: Any, unit: str, seed: int, model: str) -> Iterator[dict]:
    """A line for the defaults and one for the best options."""
    from smash_gpu.selection import steps, trials
    from smash_gpu.selection.options import Filters, Importance
    from smash_gpu.selection.tuning import Budget, Tuning, tune

    data = quality.read(options.data, *unit.split(":"))
    split = quality.held_out(data, seed)
    known = quality.training(data, split)
    candidates, _ = steps.filter_genes(known, Filters())
    wanted = Tuning(Importance(model, random_state=seed), Budget(options.trials))
    start = time.perf_counter()
    found = tune(known, candidates, wanted)
    seconds = time.perf_counter() - start
    best = trials.best(found)
    for what, row in (("defaults", found.iloc[0]), ("tuned", best)):
        given = wanted.options(trials.options_of(row))
        line = {"benchmark": "tuning", "set": unit, "seed": seed, "model": model, "trials": options.trials}
        line |= {"what": what, "options": given, "value": float(row["value"]), "tuning_s": round(seconds, 1)}
        line |= {"failed": int(found["value"].isna().sum()), "best_trial": int(best["number"])}
        line |= judged(data, split, np.flatnonzero(candidates), Importance(model, given, random_state=seed))
        print(line, flush=True)
        yield line


def judged(data: Dataset, split: Split, genes: np.ndarray, how: Any) -> dict:
    """The model on the held-out cells, and kNN(3) there on the panel of `PANEL` genes."""
    from smash_gpu import evaluation, models
    from smash_gpu.data.splits import stratified
    from smash_gpu.selection.marker_panel import choose_panel
    from smash_gpu.selection.options import Recipe

    X, group = data.host_expression(genes), data.labels
    learned = group[split.train]
    model = models.build(how.model, random_state=how.random_state, **how.options)
    start = time.perf_counter()
    model.fit(X[split.train], learned, stratified(learned, random_state=how.random_state))
    fitted = time.perf_counter() - start
    predicted = np.concatenate([model.predict(part) for part in np.array_split(X[split.test], 4)])
    metrics = evaluation.metrics_of_labels(group[split.test], predicted)
    panel = choose_panel(Recipe(importance=how), PANEL)(quality.training(data, split))
    knn = quality.judged(data, split, Chosen(panel), PANEL)
    found = {name: metrics[name] for name in METRICS} | {f"knn_{name}": knn[name] for name in METRICS}
    return found | {"fit_s": round(fitted, 2), "n_candidates": len(genes), "n_groups": data.n_groups}


def table(path: Any) -> str:
    """Defaults and tuned side by side: one row per set and model, means over the seeds, in percent."""
    import pandas as pd

    rows = pd.DataFrame(quality.lines(path))
    shown = ["value", *METRICS, *(f"knn_{name}" for name in METRICS)]
    mean = rows.groupby(["set", "model", "what"], sort=False)[shown].mean() * 100
    return mean.round(1).assign(tuning_s=rows.groupby(["set", "model", "what"])["tuning_s"].mean().round()).to_string()
