"""Markdown tables from the JSON lines of the quality benchmark.

``python -m benchmarks quality`` prints them. ``quality_table`` writes those of ``docs/benchmarks/panels.md``: today's
models, from the seeds that took no part in any choice; methods of others, from earlier seeds; and the inverse PCA, from
the lines of ``quality --methods rf rf_inverse_pca --json benchmarks/results/inverse_pca_quality.jsonl``.

Where a table does not name a classifier, it is kNN(3). A method without lines of logistic regression, or without the
genes of its panels (lines of before 28 November 2026), has "–" there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import record

REFERENCE = "wilcoxon"
VARIANTS = {"_paper": "paper's setting", "_inverse_pca": "with inverse PCA", "_in_turn": "classes in turn"}
JUDGED = (71, 72, 73)  # seeds that took no part in any choice
EARLIER = (0, 1, 2)
CHANGED_SINCE = ("rf", "brf", "xgboost", "dnn")
MODELS, OTHERS, INVERSE_PCA = "panels of the models", "panels of other methods", "inverse PCA"
PAGE = record.README.parent / "docs" / "benchmarks" / "panels.md"
UNIT = ["set", "groupby"]
M = "misclassification"
CLASSIFIERS = {"kNN": M, "LR": f"logreg_{M}"}


def main(arguments: list[str]) -> None:
    """Write the tables of quality into their page."""
    options = record.parser("quality")
    options.add_argument("--inverse-pca", type=Path, default=record.RESULTS / "inverse_pca_quality.jsonl")
    options.add_argument("--page", type=Path, default=PAGE)
    options = options.parse_args(arguments)
    tables = {MODELS: of_models(options.json), OTHERS: of_others(options.json)}
    record.put(options.page, tables | {INVERSE_PCA: with_inverse_pca(options.inverse_pca)})


def of_models(path: Path) -> str:
    """Today's models, the panel design and Wilcoxon."""
    return f"{table(path, JUDGED)}\n"


def of_others(path: Path) -> str:
    """Methods of others and the paper's settings, from earlier seeds, without our models of that time."""
    rows = latest(path, EARLIER)
    rows = rows[~rows["method"].isin(CHANGED_SINCE)]
    return "\n\n".join([by_method(rows), by_unit(rows), without_result(rows)]) + "\n"


def with_inverse_pca(path: Path) -> str:
    """The difference that the inverse PCA makes, and the units and seeds behind it."""
    rows = latest(path)
    units, seeds = rows.groupby(UNIT).ngroups, ", ".join(map(str, sorted(rows["seed"].unique())))
    return f"{against(rows, '_inverse_pca', VARIANTS['_inverse_pca'])}\n\nUnits: {units}; seeds: {seeds}.\n"


def table(path: Path, seeds: Sequence[int] | None = None) -> str:
    """Means of each method, its difference from Wilcoxon, from its variants, M of each unit; all in %."""
    rows = latest(path, seeds)
    parts = [by_method(rows), against_wilcoxon(rows), *(against(rows, *variant) for variant in VARIANTS.items())]
    return "\n\n".join([*filter(None, parts), by_unit(rows), without_result(rows)])


def latest(path: Path, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """The last line of every unit, seed, method and budget; of the given seeds only, if there are any."""
    rows = pd.read_json(path, lines=True)
    rows = rows.drop_duplicates(["set", "groupby", "seed", "method", "k"], keep="last")
    rows = rows if seeds is None else rows[rows["seed"].isin(seeds)]
    return rows.reindex(columns=rows.columns.union([*CLASSIFIERS.values(), "genes"], sort=False))


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
        all_units = len(m.loc[budgets[0]])
        cells = [method if least == all_units else f"{method} (incomplete)", f"{least}/{all_units}"]
        cells += [_of_units(m.loc[k][method]) for k in budgets]
        cells.append(_with_error(ranks[method].groupby(UNIT).mean(), ".1f"))
        cells += [_with_error((m.loc[k][method] - m.loc[k][REFERENCE]).dropna(), "+.1f") for k in budgets]
        cells += [_number(recall[method].mean()), _number(f1[method].mean() / 100, ".3f")]
        cells.append(f"{_number(cost.median()[method])} ({_number(cost.max()[method], '.0f')})")
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


def against_wilcoxon(rows: pd.DataFrame) -> str:
    """Difference in M from Wilcoxon by classifier and budget, genes that panels of two seeds share, and CPU seconds."""
    budgets, shared = sorted(rows["k"].unique()), shared_genes(rows)
    m = {name: per_unit(rows, metric) for name, metric in CLASSIFIERS.items()}
    head = ["method", *(f"{name} − {REFERENCE}, k={k} (SE)" for name in m for k in budgets)]
    head += [*(f"shared genes, k={k}" for k in budgets), "CPU s (median)"]
    lines = []
    for method in _ranked(m["kNN"].rank(axis=1), rows):
        gain = [(of.loc[k][method] - of.loc[k][REFERENCE]).dropna() for of in m.values() for k in budgets]
        same = [shared.get((method, k), np.nan) for k in budgets]
        seconds = rows.loc[rows["method"] == method, "cpu_seconds"].median() if "cpu_seconds" in rows else np.nan
        lines.append([method, *(_with_error(of_k, "+.1f") for of_k in gain)])
        lines[-1] += [*(_number(100 * share, ".0f") + " %" * (share == share) for share in same), _number(seconds)]
    return _markdown(head, lines)


def shared_genes(rows: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Share of a panel that it has in common with that of another split and seed; mean over pairs, then over units."""
    found = rows[rows["genes"].notna()].groupby(["method", "k", *UNIT])["genes"].agg(_mean_shared)
    return found.groupby(["method", "k"]).mean().to_dict()


def _mean_shared(panels: pd.Series) -> float:
    pairs = list(combinations(map(set, panels), 2))
    return float(np.mean([len(a & b) / max(len(a), len(b)) for a, b in pairs])) if pairs else np.nan


def against(rows: pd.DataFrame, suffix: str, variant: str) -> str:
    """M with each model's defaults minus M of a variant, over the units and seeds that have both; "" if none has."""
    rows = rows[rows["status"] == "ok"]
    methods = sorted({name for name in rows["method"] if f"{name}{suffix}" in set(rows["method"])})
    budgets = sorted(rows["k"].unique())
    head = ["model", "units", *(f"{name}: defaults − {variant}, k={k} (SE)" for name in CLASSIFIERS for k in budgets)]
    lines = []
    for method in methods:
        gains = [_gain(rows, metric, method, f"{method}{suffix}") for metric in CLASSIFIERS.values()]
        lines.append([method, str(len(gains[0].groupby(UNIT)))])
        lines[-1] += [
            _with_error(gain[gain.index.get_level_values("k") == k], "+.1f") for gain in gains for k in budgets
        ]
    return _markdown(head, lines) if lines else ""


def _gain(rows: pd.DataFrame, metric: str, method: str, other: str) -> pd.Series:
    """Difference of two methods, mean over the seeds; one value per budget and unit."""
    both = rows[rows["method"].isin([method, other])].set_index(["k", *UNIT, "seed", "method"])[metric].unstack()
    return 100 * (both[method] - both[other]).dropna().groupby(["k", *UNIT]).mean()


def without_result(rows: pd.DataFrame) -> str:
    """How often and why a method has no result."""
    bad = rows[rows["status"] != "ok"]
    if bad.empty:
        units = rows.drop_duplicates(["method", *UNIT])["method"].value_counts()
        partly = ", ".join(f"`{method}`" for method in sorted(units.index[units < units.max()]))
        return f"Every method has a result wherever it was run; not run everywhere: {partly or 'none'}."
    counted = bad.groupby(["method", "status"]).agg(lines=("k", "size"), example=("message", "last")).reset_index()
    return _markdown(["method", "no result", "lines", "example"], counted.astype(str).to_numpy().tolist())


def _ranked(ranks: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    order = ranks.mean().sort_values(na_position="last").index
    return [method for method in order if method in set(rows["method"])]


def _of_units(values: pd.Series) -> str:
    """The mean over the units, and how many they are where some have no result: it is not comparable then."""
    n = int(values.notna().sum())
    return _number(values.mean()) + f" ({n} of {len(values)} units)" * (0 < n < len(values))


def _number(value: float, form: str = ".1f") -> str:
    return "–" if np.isnan(value) else format(value, form)


def _with_error(values: pd.Series, form: str) -> str:
    if values.empty or values.isna().all():
        return "–"
    error = values.sem() if len(values) > 1 else np.nan
    return f"{values.mean():{form}} ({_number(error)})"


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])
