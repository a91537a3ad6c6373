"""What nesting costs: the panel of a model as a prefix of 100 genes, and chosen for its own size, from one training.

The same units, splits and judges as `quality`; one line per unit, seed, model and number of genes, with the
misclassification of kNN(3) and logistic regression for ``nested`` true and false.
"""

from __future__ import annotations

import warnings
from itertools import product

from benchmarks import quality, record

SEEDS = (71, 72, 73)


def main(arguments: list[str]) -> None:
    """Run what is missing from the file, and print the mean differences."""
    options = record.parser("nested_panels")
    options.add_argument("--models", nargs="+", default=["dnn", "xgboost"])
    options.add_argument("--sets", nargs="+", default=list(quality.UNITS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--table", action="store_true", help="only print the table of an earlier run's JSON lines")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    if not options.table:
        for unit, seed, model in product(options.sets, options.seeds, options.models):
            rows = measured(options.data, *unit.split(":"), seed=seed, model=model)
            record.write(options.json, rows)
            print(unit, seed, model, [row["nested_misclassification"] - row["misclassification"] for row in rows])
    print(table(options.json))


def measured(folder, name: str, column: str, *, seed: int, model: str) -> list[dict]:
    """One training, and both panels of every size."""
    from smash_gpu.selection import steps
    from smash_gpu.selection.marker_panel import of_selection
    from smash_gpu.selection.options import Importance, Recipe

    data = quality.read(folder, name, column)
    split = quality.held_out(data, seed)
    found = steps.select(quality.training(data, split), Recipe(importance=Importance(model, random_state=seed)))
    where = {"benchmark": "nested_panels", "set": name, "groupby": column, "seed": seed, "model": model}
    nested = of_selection(found, data.names, max(quality.BUDGETS))
    rows = []
    for k in quality.BUDGETS:
        own = quality.Chosen(of_selection(found, data.names, k, nested=False))
        row = where | {"k": k}
        for prefix, chosen in (("", own), ("nested_", quality.Chosen(nested))):
            judged = quality.judged(data, split, chosen, k)
            row |= {f"{prefix}{c}misclassification": judged[f"{c}misclassification"] for c in ("", "logreg_")}
        rows.append(row)
    return rows


def table(path) -> str:
    """Nested minus not nested, in points, means over units with their standard errors: kNN, logistic regression."""
    import pandas as pd

    rows = pd.read_json(path, lines=True)
    lines = ["| model | genes | kNN (SE) | logistic regression (SE) |", "|---|---|---|---|"]
    for (model, k), part in rows.groupby(["model", "k"], sort=False):
        cells = []
        for c in ("", "logreg_"):
            gap = 100 * (part[f"nested_{c}misclassification"] - part[f"{c}misclassification"])
            means = gap.groupby([part["set"], part["groupby"]]).mean()
            cells.append(f"{means.mean():+.2f} ({means.sem():.2f})")
        lines.append(f"| {model} | {k} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
