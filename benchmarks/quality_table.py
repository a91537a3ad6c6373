"""Markdown tables from the JSON lines of the quality benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

REFERENCE = "wilcoxon"
PAPER = "_paper"
UNIT = ["set", "groupby"]


def table(path: Path) -> str:
    """One row per method, then one row per method and unit; M in %."""
    rows = latest(path)
    return "\n\n".join([by_method(rows), against_paper(rows), by_unit(rows), without_result(rows)])


def latest(path: Path) -> pd.DataFrame:
    """The last line of every unit, seed, method and budget."""
    rows = pd.read_json(path, lines=True)
    return rows.drop_duplicates(["set", "groupby", "seed", "method", "k"], keep="last")


def per_unit(rows: pd.DataFrame, metric: str = "misclassification") -> pd.DataFrame:
    """Mean over the seeds in %, one row per (budget, unit) and one column per method; NaN if a seed has no result."""
    means = rows.groupby(["k", *UNIT, "method"])[metric].agg(lambda v: v.mean(skipna=False)).unstack("method")
    return 100 * means.reindex(columns=means.columns.union([REFERENCE]))


def by_method(rows: pd.DataFrame) -> str:
    """Means over units, ranks among the methods with a result, and the paired difference from Wilcoxon."""
    m, budgets = per_unit(rows), sorted(rows["k"].unique())
    recall, f1 = per_unit(rows, "macro_1_minus_recall"), per_unit(rows, "f1_macro")
    ranks = m.rank(axis=1)
    cost = rows.groupby("method")["cpu_seconds"]
    head = ["method", "units", *(f"M, k={k}" for k in budgets), "rank (SE)"]
    head += [*(f"− {REFERENCE}, k={k} (SE)" for k in budgets), "1 − recall", "macro-F1", "CPU s (max)"]
    lines = []
    for method in _ranked(ranks, rows):
        least = min(m.loc[k][method].notna().sum() for k in budgets)
        cells = [method, f"{least}/{len(m.loc[budgets[0]])}"]
        cells += [_number(m.loc[k][method].mean()) for k in budgets]
        cells.append(_with_error(ranks[method].groupby(UNIT).mean(), ".1f"))
        cells += [_with_error((m.loc[k][method] - m.loc[k][REFERENCE]).dropna(), "+.1f") for k in budgets]
        cells += [_number(recall[method].mean()), _number(f1[method].mean() / 100, ".3f")]
        cells.append(f"{cost.median()[method]:.1f} ({cost.max()[method]:.0f})")
        lines.append(cells)
    return _markdown(head, lines)


def by_unit(rows: pd.DataFrame) -> str:
    """M of every method and unit at all budgets, ``k=10 / 30 / 100``."""
    m, budgets = per_unit(rows), sorted(rows["k"].unique())
    units = list(m.loc[budgets[0]].index)
    head = ["method", *(f"{name} {column.removeprefix('cell_')}" for name, column in units)]
    order = _ranked(m.rank(axis=1), rows)
    lines = [
        [method, *(" / ".join(_number(m.loc[(k, *u), method]) for k in budgets) for u in units)] for method in order
    ]
    return _markdown(head, lines)


def against_paper(rows: pd.DataFrame) -> str:
    """M with each model's defaults minus M with the paper's settings, over the units and seeds that have both."""
    rows = rows[rows["status"] == "ok"]
    where = ["k", *UNIT, "seed"]
    m = 100 * rows.pivot_table(index=where, columns="method", values="misclassification")
    head = ["model", "units", *(f"defaults − paper's setting, k={k} (SE)" for k in sorted(rows["k"].unique()))]
    lines = []
    for method in sorted(name for name in m.columns if f"{name}{PAPER}" in m.columns):
        gain = (m[method] - m[f"{method}{PAPER}"]).dropna().groupby(["k", *UNIT]).mean()
        lines.append([method, str(len(gain.groupby(UNIT)))])
        lines[-1] += [_with_error(of_k, "+.1f") for _, of_k in gain.groupby("k")]
    return _markdown(head, lines)


def without_result(rows: pd.DataFrame) -> str:
    """How often and why a method has no result."""
    bad = rows[rows["status"] != "ok"]
    if bad.empty:
        return "Every method has a result everywhere."
    counted = bad.groupby(["method", "status"]).agg(lines=("k", "size"), example=("message", "last")).reset_index()
    return _markdown(["method", "no result", "lines", "example"], counted.astype(str).to_numpy().tolist())


def _ranked(ranks: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    order = ranks.mean().sort_values(na_position="last").index
    return [method for method in order if method in set(rows["method"])]


def _number(value: float, form: str = ".1f") -> str:
    return "–" if np.isnan(value) else format(value, form)


def _with_error(values: pd.Series, form: str) -> str:
    if values.empty or values.isna().all():
        return "–"
    error = values.sem() if len(values) > 1 else np.nan
    return f"{values.mean():{form}} ({_number(error)})"


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])
