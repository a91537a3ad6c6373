"""What a nested list costs compared with one panel per size, and the effect of frequency weights: leak-free kNN(3).

Eleven label columns of the shared sets (classes with fewer than 10 cells left out), three stratified 70/30 splits, 10,
30 and 100 genes. Differences from a panel chosen for its size with equal pair weights, in percentage points; standard
errors over columns and sizes.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from benchmarks import record

SIZES = (10, 30, 100)
COLUMNS = (
    ("zeisel", "cell_type"), ("zeisel", "cell_subtype"), ("paul15", "cell_type"), ("paul15", "cell_subtype"),
    ("citeseq_cbmc", "cell_type"), ("pbmc3k", "cell_type"), ("pancreas_endocrinogenesis", "cell_type"),
    ("pancreas_endocrinogenesis", "cell_subtype"), ("onek1k_40donors", "cell_type"), ("kang_muscat", "cell_type"),
    ("pbmc_3batch_symphony", "cell_subtype"),
)  # fmt: skip
MODES = {"for its size": {}, "nested": {"nested": True}, "prior=1": {"prior": 1.0}}
METRICS = ("misclassification", "macro_1_minus_recall")


def main(arguments: list[str]) -> None:
    """Run all columns, print the differences and append one line per mode."""
    options = record.parser("panel_modes").parse_args(arguments)
    warnings.simplefilter("ignore")
    rows = pd.DataFrame([row for name, column in COLUMNS for row in judged(options.data, name, column)])
    mean = rows.groupby(["mode", "set", "column", "k"])[list(METRICS)].mean()
    lines = []
    for mode in MODES:
        apart = 100 * (mean.loc[mode] - mean.loc["for its size"])
        line = {"benchmark": "panel_modes", "mode": mode, "units": len(apart)}
        for metric in METRICS:
            line |= {metric: 100 * mean.loc[mode][metric].mean(), f"{metric}_difference": apart[metric].mean()}
            line[f"{metric}_standard_error"] = apart[metric].sem()
        line["by_size"] = {str(k): apart["misclassification"].xs(k, level="k").mean() for k in SIZES}
        lines.append(line)
        print(line)
    record.write(options.json, lines)


def judged(folder, name: str, column: str) -> list[dict]:
    """One row per mode, size and split."""
    import anndata as ad

    from smash_gpu import evaluation, panel
    from smash_gpu.annotated.read import read
    from smash_gpu.data import splits

    data = read(ad.read_h5ad(folder / f"{name}.h5ad"), {"groupby": column, "min_cells": 10})
    rows = []
    for split in splits.repeated(data.labels, n_splits=3, test_fraction=0.3, random_state=200):
        train = data.only(data.cells[split.train])
        for mode, options in MODES.items():
            longest = panel.choose(max(SIZES), **options)(train)
            for k in SIZES:
                genes = longest[:k] if mode == "nested" or k == max(SIZES) else panel.choose(k, **options)(train)
                predicted = evaluation.predict(data.host_expression(genes), data.labels, split, scale_on_all=False)
                found = evaluation.metrics_of_labels(data.labels[split.test], predicted)
                row = {"mode": mode, "set": name, "column": column, "k": k}
                rows.append(row | {metric: float(np.float64(found[metric])) for metric in METRICS})
    return rows
