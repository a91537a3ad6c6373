"""Options of the models that save time: what they cost in accuracy and in the quality of panels.

As in `quality`: the method sees 70 % of the cells, of which it holds out a fifth; kNN(3) and logistic regression judge
its panels on the other 30 %. A line per model, unit, seed and options; lines already in the file are not computed
again. ``benchmarks/boosting_rounds.py`` measures when XGBoost may stop.
"""

from __future__ import annotations

import time
import warnings
from itertools import product
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks import quality, record
from benchmarks.boosting_rounds import UNITS

SEEDS = (81, 82)
KEY = ["model", "set", "groupby", "seed", "options"]
OPTIONS: dict[str, list[dict]] = {  # the first is what others are compared with
    "dnn": [{"tol": 0.001, "learning_rate": 0.001}, {"tol": 0.0, "learning_rate": 0.001}]
    + [{"tol": tol, "learning_rate": 0.003} for tol in (0.0, 0.001, 0.003, 0.01)],
    "rf": [{"max_depth": depth} for depth in (None, 32, 28, 24, 16)],
}


def main(arguments: list[str]) -> None:
    """Compute what is missing from the file, and print the means."""
    options = record.parser("model_options")
    options.add_argument("--sets", nargs="+", default=list(UNITS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--models", nargs="+", default=list(OPTIONS), choices=list(OPTIONS))
    options.add_argument("--table", action="store_true", help="only print the means of the lines there are")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    if not options.table:
        run(options)
    print(table(options).to_string())


def run(options: Any) -> None:
    """One line per unit, seed, model and options."""
    done = [[row[name] for name in KEY] for row in quality.lines(options.json)]
    for seed, unit, model in product(options.seeds, options.sets, options.models):
        for how in OPTIONS[model]:
            where = dict(zip(KEY, (model, *unit.split(":"), seed, how), strict=True))
            if list(where.values()) not in done:
                record.write(options.json, [{"benchmark": "model_options"} | where | measured(options.data, where)])


def measured(folder: Any, where: dict) -> dict:
    """One selection: seconds of the processor, accuracy, and the errors of its panels; epochs of a network."""
    from smash_gpu.models import torch_training
    from smash_gpu.models.network import Training
    from smash_gpu.selection import marker_panel, steps
    from smash_gpu.selection.options import Importance, Recipe

    data = quality.read(folder, where["set"], where["groupby"])
    split = quality.held_out(data, where["seed"])
    how = {"training": Training(**where["options"])} if where["model"] == "dnn" else where["options"]
    recipe = Recipe(inverse_pca=None, importance=Importance(where["model"], how, random_state=where["seed"]))
    start = time.process_time()
    with patch.object(torch_training, "held_out_loss", wraps=torch_training.held_out_loss) as epochs:
        found = steps.select(quality.training(data, split), recipe)
    row: dict[str, Any] = {"cpu_s": time.process_time() - start, "epochs": epochs.call_count}
    row["accuracy"] = float(np.mean(found.scores.accuracy))
    for k in quality.BUDGETS:
        judged = quality.judged(data, split, quality.Chosen(marker_panel.of_selection(found, data.names, k)), k)
        row |= {f"{c}misclassification_{k}": judged[f"{c}misclassification"] for c in quality.CLASSIFIERS.values()}
    print(where, {k: round(v, 4) for k, v in row.items()}, flush=True)
    return row


def table(options: Any) -> pd.DataFrame:
    """What the options change, in points, against the first of the model on the same units and seeds; means."""
    rows = pd.DataFrame(quality.lines(options.json))
    errors = [f"{c}misclassification_{k}" for c, k in product(quality.CLASSIFIERS.values(), quality.BUDGETS)]
    found = {}
    for model, (first, *others) in OPTIONS.items():
        of_model = rows[rows["model"] == model]
        by = {str(how): part.set_index(KEY[1:4]) for how, part in of_model.groupby(of_model["options"].map(str))}
        for how in filter(by.__contains__, map(str, others)):
            here, before = by[how].align(by[str(first)], join="inner", axis=0)
            change = 100 * (here[["accuracy", *errors]] - before[["accuracy", *errors]]).mean()
            effort = (here[["cpu_s", "epochs"]].sum() / before[["cpu_s", "epochs"]].sum()).add_prefix("share of ")
            found[model, how] = pd.concat([pd.Series({"n": len(here)}), effort, change])
    return pd.DataFrame(found).T.round(2)
