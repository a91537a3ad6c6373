"""The README's table of results."""

from __future__ import annotations

import pandas as pd

from benchmarks import quality_table, record
from benchmarks.tables.markdown import markdown

SHOWN = {  # seeds of the lines, method of the lines, name in the README
    ("pairs", quality_table.JUDGED): "`tl.panel`",
    ("rf", quality_table.JUDGED): "`tl.smash`, random forest (the default)",
    ("brf", quality_table.JUDGED): "`tl.smash`, balanced forest",
    ("xgboost", quality_table.JUDGED): "`tl.smash`, XGBoost",
    ("dnn", quality_table.JUDGED): "`tl.smash`, network",
    ("wilcoxon", quality_table.JUDGED): "Wilcoxon test (scanpy)",
    ("logreg", quality_table.EARLIER): "logistic regression (scanpy)",
    ("t_test", quality_table.EARLIER): "t test (scanpy)",
    ("cosg", quality_table.EARLIER): "COSG",
    ("scgenefit", quality_table.EARLIER): "scGeneFit",
    ("hvg_seurat_v3", quality_table.EARLIER): "highly variable genes (Seurat v3)",
    ("random", quality_table.EARLIER): "random genes",
}


def panels() -> str:
    """Errors of panels of equal size minus those of the Wilcoxon test, mean over the units with the standard error."""
    by_seeds = {seeds: differences(seeds) for seeds in (quality_table.JUDGED, quality_table.EARLIER)}
    budgets = sorted(next(iter(by_seeds.values())).index.unique("k"))
    lines = []
    for (method, seeds), name in SHOWN.items():
        found = by_seeds[seeds][method]
        assert found.notna().all(), f"{method} has no result somewhere"
        values = [(found.loc[k].mean(), found.loc[k].sem()) for k in budgets]
        lines.append([name, *(f"{mean:+.1f} ({error:.1f})" if method != "wilcoxon" else "0" for mean, error in values)])
    lines = [[cell.replace("-", "−") for cell in line] for line in lines]
    return markdown(["genes chosen by", *(f"{k} genes" for k in budgets)], lines)


def differences(seeds: tuple[int, ...]) -> pd.DataFrame:
    """M of each method minus that of the Wilcoxon test in points; budgets and units × methods."""
    m = quality_table.per_unit(quality_table.latest(record.RESULTS / "quality.jsonl", seeds))
    return m.sub(m[quality_table.REFERENCE], axis=0)
