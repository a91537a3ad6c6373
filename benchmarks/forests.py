"""Forests on real sets: the balanced forest of the paper and ours, and which markers two random forests share.

``balanced``: accuracy on the held-out fifth with the paper's settings (class weights, and as many cells of every class
as the rarest has), and with ours. Lines of before 28 November 2026 have the inverse PCA before both.
``seeds``: forests of other seeds (each seed has its own split), and on the same split forests that differ as cuML's
does: cells drawn by class weight instead of weighed in splits, 128 quantile bins per gene, depth at most 16.
``drawn``: panels of random forests whose trees see fewer cells (``max_samples``), judged by kNN(3) on held-out cells.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import quality, quality_table, record
from smash_gpu.models.forest import Forest

SETS = ("pbmc3k", "paul15", "pancreas_endocrinogenesis")
N_TOP, SEEDS = 5, (0, 1, 2)
JUDGED = (31, 32)  # seeds of balanced
DRAWN, SIZES = (None, 0.5, 0.2, 0.1), (10, 30, 100)
BALANCED = "accuracy of the balanced forest"


class AsCuml(Forest):
    """scikit-learn's forest on numbers of quantile bins (0: on values), drawing cells by class weight.

    ``class_weight`` means that since scikit-learn 1.9.
    """

    def __init__(self, seed: int, *, bins: int = 0, max_depth: int | None = None) -> None:
        from sklearn.ensemble import RandomForestClassifier

        how: dict[str, Any] = {"n_jobs": -1, "random_state": seed, "max_depth": max_depth}
        super().__init__(RandomForestClassifier(100, class_weight="balanced", **how))
        self.bins = bins

    def fit(self, X: np.ndarray, group: np.ndarray, split: Any) -> AsCuml:
        """Find the edges of the bins on the training cells, and fit."""
        shares = np.linspace(0, 1, self.bins + 1)[1:-1] if self.bins else []
        self.edges = [np.unique(np.quantile(column, shares)) for column in X[split.train].T] if self.bins else []
        return super().fit(self.binned(X), group, split)

    def binned(self, X: np.ndarray) -> np.ndarray:
        """The number of each value's bin."""
        numbers = [np.searchsorted(at, column, side="right") for at, column in zip(self.edges, X.T, strict=False)]
        return np.transpose(numbers).astype(np.float32) if numbers else X

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The group code of each cell."""
        return super().predict(self.binned(X))


KINDS: dict[str, Any] = {
    "ours": lambda seed: "rf",
    "drawn by weight": AsCuml,
    "drawn by weight, 128 bins": lambda seed: AsCuml(seed, bins=128),
    "drawn by weight, 128 bins, depth 16": lambda seed: AsCuml(seed, bins=128, max_depth=16),
}


def main(arguments: list[str]) -> None:
    """Print and append the lines of the parts."""
    options = record.parser("forests")
    parts = {"balanced": balanced, "seeds": seeds, "drawn": drawn}
    options.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    options.add_argument("--sets", nargs="+", help="set for seeds, set:column for the others")
    options.add_argument("--seeds", type=int, nargs="+", default=list(JUDGED), help="of balanced and drawn")
    options.add_argument("--table", action="store_true", help="only write the table of balanced into its page")
    options = options.parse_args(arguments)
    if options.table:
        record.put(quality_table.PAGE, {BALANCED: table(options.json, options.seeds)})
        return
    warnings.simplefilter("ignore")
    for part in options.parts:
        for row in parts[part](options):
            record.write(options.json, [{"benchmark": "forests", "part": part} | row])
            print(row, flush=True)


def balanced(options: argparse.Namespace) -> Iterator[dict]:
    """Accuracy on the held-out fifth of the paper's balanced forest and of ours, on the same candidates."""
    from smash_gpu import paper

    for unit in options.sets or quality.UNITS:
        name, _, column = unit.partition(":")
        for seed in options.seeds:
            for what, how in (("paper", paper("brf")["model_options"]), ("ours", {})):
                found, seconds = selected(options, name, column, model="brf", model_options=how, random_state=seed)
                row = {"set": name, "groupby": column, "seed": seed, "forest": what, "seconds": seconds}
                yield row | {"accuracy": float(found.uns["smash"]["accuracy"][0])}


def table(path: Path, seeds: list[int]) -> str:
    """Accuracy of the balanced forest in every unit, mean over the seeds, before and after."""
    rows = pd.read_json(path, lines=True)
    rows = rows[(rows["part"] == "balanced") & rows["seed"].isin(seeds)]
    rows = rows.drop_duplicates(["set", "groupby", "seed", "forest"], keep="last")
    found = rows.pivot_table(index=["set", "groupby"], columns="forest", values="accuracy")
    lines = [f"| {' '.join(unit)} | {row['paper']:.3f} | {row['ours']:.3f} |\n" for unit, row in found.iterrows()]
    lines.append(f"| mean of {len(found)} | {found['paper'].mean():.3f} | {found['ours'].mean():.3f} |\n")
    return "".join(["| unit | paper's settings | ours |\n", "| --- | --- | --- |\n", *lines])


def drawn(options: argparse.Namespace) -> Iterator[dict]:
    """Misclassification of the panels of forests whose trees draw a share of the cells."""
    import anndata as ad

    import smash_gpu as smg

    def choose(cells: ad.AnnData, n_genes: int, share: float | None) -> list[str]:
        how: dict[str, Any] = {"model": "rf", "random_state": seed, "min_cells": 10}
        smg.tl.smash(cells := cells.copy(), column, model_options={"max_samples": share}, **how)
        return smg.get.marker_panel(cells, n_genes)

    for unit, seed in product(options.sets or quality.UNITS, options.seeds):
        name, _, column = unit.partition(":")
        adata = ad.read_h5ad(options.data / f"{name}.h5ad")
        lists = {str(share): partial(choose, share=share) for share in DRAWN}
        for n_genes in SIZES:
            how = {"n_splits": 1, "n_random": 0, "random_state": seed, "min_cells": 10}
            smg.tl.evaluate(adata, column, genes=lists, n_genes=n_genes, **how)
            table = smg.get.evaluation_splits(adata).set_index("genes")["misclassification"]
            for share in DRAWN:
                row = {"set": name, "groupby": column, "seed": seed, "n_genes": n_genes, "drawn": share or 1.0}
                yield row | {"misclassification": 100 * float(table[str(share)])}


def seeds(options: argparse.Namespace) -> Iterator[dict]:
    """The share of `N_TOP` markers per class that two forests have in common, mean over pairs of forests."""
    import smash_gpu as smg

    for name in options.sets or SETS:
        lists: dict = {}
        for kind, make in KINDS.items():
            for seed in SEEDS if kind == "ours" else SEEDS[:2]:
                found, _ = selected(options, name, "cell_type", model=make(seed), random_state=seed)
                lists[kind, seed] = smg.get.markers_dict(found)
        for one, other in combinations_with_replacement(KINDS, 2):
            pairs = [(a, b) for a in lists for b in lists if (a[0], b[0]) == (one, other)]
            pairs = [(a, b) for a, b in pairs if (a < b if one == other else a[1] == b[1])]
            shares = [np.mean([len({*lists[a][c]} & {*lists[b][c]}) / N_TOP for c in lists[a]]) for a, b in pairs]
            row = {"set": name, "forests": [one, other], "same_split": one != other, "pairs": len(pairs)}
            yield row | {"share_of_top": float(np.mean(shares))}


def selected(options: argparse.Namespace, name: str, column: str, **how: Any) -> tuple[Any, float]:
    """A selection on the labelled cells of a set, and its seconds."""
    import anndata as ad

    import smash_gpu as smg

    adata = ad.read_h5ad(options.data / f"{name}.h5ad")
    adata = adata[(adata.obs[column] != quality.UNASSIGNED) & adata.obs[column].notna()].copy()
    start = time.perf_counter()
    smg.tl.smash(adata, column, min_cells=quality.MIN_CELLS, device="cpu", **how)
    return adata, time.perf_counter() - start
