"""The tables of ``docs/which-model.md``, from the lines of `which_model`."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import quality, record

PAGE = Path(__file__).parents[1] / "docs" / "which-model.md"
UNIT = ["set", "groupby"]
KEY = [*UNIT, "model", "split", "seed"]
PANEL = 30  # genes of the panels whose overlap is shown
OVERLAPS = {  # what is compared, and what two runs have in common
    "markers_seeds": ("markers", "split"),
    "markers_splits": ("markers", "seed"),
    "panel_seeds": ("panels", "split"),
    "panel_splits": ("panels", "seed"),
}
SHARES, NUMBERS = (100, ".1f"), (1, ".2f")  # factor and form
COLUMNS = {  # what stands in a cell, one behind the other
    "kNN, 10 / 30 / 100 genes, %": (SHARES, [f"M_{k}" for k in quality.BUDGETS]),
    "LR, 10 / 30 / 100 genes, %": (SHARES, [f"logreg_M_{k}" for k in quality.BUDGETS]),
    "τ": (NUMBERS, ["tau"]),
    "on target": (NUMBERS, ["on_target"]),
    "Fβ": (NUMBERS, ["f_beta_2"]),
    "same markers, seeds / splits, %": (SHARES, ["markers_seeds", "markers_splits"]),
    "same panel, seeds / splits, %": (SHARES, ["panel_seeds", "panel_splits"]),
    "accuracy, %": (SHARES, ["accuracy"]),
    "s": ((1, ".1f"), ["cpu_seconds"]),
}
OF_A_UNIT = {"kNN, 30 genes, %": "M_30", "τ": "tau", "same markers, splits, %": "markers_splits", "s": "cpu_seconds"}
QUESTIONS = {  # what one may want: columns, and whether larger is better
    "a short panel (10 genes)": (["M_10", "logreg_M_10"], False),
    "a panel of 30 genes": (["M_30", "logreg_M_30"], False),
    "a panel of 100 genes": (["M_100", "logreg_M_100"], False),
    "markers that few other classes express": (["tau", "on_target"], True),
    "one or two markers that identify a class": (["f_beta_1", "f_beta_2"], True),
    "the same markers with another seed": (["markers_seeds"], True),
    "the same markers from other cells": (["markers_splits"], True),
    "the same panel from other cells": (["panel_splits"], True),
    "a model that predicts cells well": (["accuracy"], True),
    "a short run (least processor time)": (["cpu_seconds"], False),
}
MEASURED = [name for _, names in COLUMNS.values() for name in names if name not in OVERLAPS] + ["f_beta_1"]
FORMS = {name: form for form, names in COLUMNS.values() for name in names}


def main(arguments: list[str]) -> None:
    """Write the tables into the page."""
    options = record.parser("which_model_table")
    options.set_defaults(json=record.RESULTS / "which_model.jsonl")
    options.add_argument("--page", type=Path, default=PAGE)
    options = options.parse_args(arguments)
    record.put(options.page, tables(options.json))


def tables(path: Path) -> dict[str, str]:
    """The table of each mark."""
    found = per_unit(read(path))
    return {"choices": by_question(found), "models": by_model(found), "units": by_unit(found)}


def read(path: Path) -> pd.DataFrame:
    """The last line of every unit, model, split and seed."""
    rows = pd.read_json(path, lines=True).drop_duplicates(KEY, keep="last")
    return rows.reindex(columns=rows.columns.union(MEASURED, sort=False))


def per_unit(rows: pd.DataFrame) -> pd.DataFrame:
    """All that is shown, mean over runs, of seconds the median; one row per model and unit."""
    runs = rows.groupby(["model", *UNIT], sort=False)
    found = runs[MEASURED].mean()
    found["cpu_seconds"] = runs["cpu_seconds"].median()
    for name, (what, fixed) in OVERLAPS.items():
        found[name] = runs.apply(_overlap, what, fixed, include_groups=False)
    return found


def _overlap(runs: pd.DataFrame, what: str, fixed: str) -> float:
    """Mean share of genes that two runs have in common which differ in one of seed and split only."""
    pairs = [(a[what], b[what]) for a, b in combinations(runs.to_dict("records"), 2) if a[fixed] == b[fixed]]
    return float(np.mean([_shared(a, b) for a, b in pairs])) if pairs else np.nan


def _shared(one: dict, other: dict) -> float:
    """Of the lists with the same name (of a class, or of the panel of `PANEL` genes); mean over the names."""
    names = [str(PANEL)] if str(PANEL) in one else list(one)
    lists = [(set(one.get(name, ())), set(other.get(name, ()))) for name in names]
    shares = [len(a & b) / max(len(a), len(b)) for a, b in lists if a or b]
    return float(np.mean(shares)) if shares else np.nan


def by_question(found: pd.DataFrame) -> str:
    """For each question the best model over all units, and those that are not clearly worse."""
    lines = []
    for question, (names, larger) in QUESTIONS.items():
        value = found[names].mean(axis=1).unstack("model").dropna()
        value = np.log(value) if names == ["cpu_seconds"] else value
        behind = (-value if larger else value).pipe(lambda loss: loss.sub(loss[loss.mean().idxmin()], axis=0))
        best = behind.mean().idxmin()
        near = [m for m in behind if m != best and not behind[m].mean() > 2 * behind[m].sem()]
        lines.append([question, f"`{best}`", ", ".join(f"`{model}`" for model in near) or "–"])
    return _markdown(["you want", "model", f"not clearly worse on {_units(found)}"], lines)


def _units(found: pd.DataFrame) -> str:
    n = len(found.groupby(UNIT))
    return f"{n} unit{'s' * (n > 1)}"


def by_model(found: pd.DataFrame) -> str:
    """One row per model: means over the units, of seconds the median."""
    lines = []
    for model, of in found.groupby("model", sort=False):
        value = of.mean().to_dict() | {"cpu_seconds": of["cpu_seconds"].median()}
        cells = [" / ".join(_shown(name, value[name]) for name in names) for _, names in COLUMNS.values()]
        lines.append([f"`{model}`", str(len(of)), *cells])
    return _markdown(["model", "units", *COLUMNS], lines)


def by_unit(found: pd.DataFrame) -> str:
    """One row per unit: a few values of every model, in the order of the models."""
    models, lines = list(found.index.unique("model")), []
    for unit, of in found.groupby(UNIT):
        of = of.droplevel(UNIT).reindex(models)
        cells = [" / ".join(_shown(name, value) for value in of[name]) for name in OF_A_UNIT.values()]
        lines.append([" ".join(unit), *cells])
    return _markdown([f"unit ({' / '.join(models)})", *OF_A_UNIT], lines)


def _shown(name: str, value: float) -> str:
    factor, form = FORMS[name]
    return "–" if np.isnan(value) else format(factor * value, form)


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [head, ["---"] * len(head), *lines])
