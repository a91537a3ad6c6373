"""Types against structure: panels by `tl.panel` at several shares of the variation, and baselines, of equal size.

Every seed holds out 30 % of the cells of each class; a list is chosen on the others. One line per set, seed, size and
list: misclassification of kNN(3) and metrics of structure on held-out cells (`tl.evaluate`), and the seconds of the
choice. Lines already in the file are not computed again. Seeds 61 and 62 were used for development; 91 to 93 took part
in no choice. ``--table`` prints means over the lines of some seeds. ``--cells 100000`` instead times `tl.panel` on as
many synthetic cells × 20,000 genes: with and without the variation, and again when the sums over the cells are there.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import kneighbors_graph

import smash_gpu as smg
from benchmarks import atlas_data, record
from benchmarks.baselines import METHODS
from benchmarks.panel import peak_mib
from smash_gpu.genes.filters import family_rules
from smash_gpu.panel.request import Request

GROUPBY = "cell_type"
SETS = ("pbmc3k", "paul15", "zeisel", "pancreas_endocrinogenesis", "kang_muscat")
SEEDS = (91, 92, 93)
SIZES = (50, 150)
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
OF_TOTAL = (0.3, 0.5, 0.7, 1.0)
BASELINES = {
    "wilcoxon": "wilcoxon", "t test": "t_test", "variable": "hvg_seurat", "random": "random", "rf": "rf", "brf": "brf",
    "xgboost": "xgboost", "dnn": "dnn",
}  # fmt: skip
ERROR = "misclassification"
METRICS = ("neighbour_overlap", "explained_variance", "cluster_nmi", "captured_types")
KEY = ["set", "seed", "n_genes", "list"]


def main(arguments: list[str]) -> None:
    """Judge all lists, print and append the lines."""
    options = record.parser("variation")
    options.add_argument("--sets", nargs="+", default=list(SETS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--n-genes", type=int, nargs="+", default=list(SIZES))
    options.add_argument("--lists", nargs="+", default=list(methods(0)), choices=list(methods(0)))
    options.add_argument("--metrics", nargs="+", default=list(METRICS), choices=METRICS, help="of the structure")
    options.add_argument("--table", action="store_true", help="only print the table of the lines")
    options.add_argument("--cells", type=int, help="time synthetic cells instead")
    options = options.parse_args(arguments)
    if options.cells:
        record.write(options.json, rows := timed(options.cells, options.n_genes[0]))
        print(*rows, sep="\n")
        return
    if not options.table:
        for seed, name, n_genes in product(options.seeds, options.sets, options.n_genes):
            there = done(options.json, options.metrics)
            lists = [of for of in options.lists if (name, seed, n_genes, of) not in there]
            if lists:
                adata = ad.read_h5ad(options.data / f"{name}.h5ad")
                rows = judged(adata, {"set": name, "seed": seed, "n_genes": n_genes}, lists, options.metrics)
                record.write(options.json, rows)
    print(table(options.json, options.seeds))


def done(path: Path, metrics: Iterable[str]) -> set[tuple]:
    """Set, seed, size and list of the lines in the file that have these metrics."""
    if not path.exists():
        return set()
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {tuple(row[name] for name in KEY) for row in rows if "list" in row and set(metrics) <= set(row)}


def judged(adata: ad.AnnData, unit: dict[str, Any], wanted: list[str], metrics: list[str]) -> list[dict[str, Any]]:
    """One row per list; ``unit`` is the set, the seed and the number of genes."""
    seed = unit["seed"]
    seconds: dict[str, tuple[float, float]] = {}
    lists = {of: partial(_timed, methods(seed)[of], of, seconds) for of in wanted}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smg.tl.evaluate(
            adata, GROUPBY, genes=lists, n_genes=unit["n_genes"], n_splits=1, n_random=0, structure=metrics,
            random_state=seed, min_cells=10,
        )  # fmt: skip
    table = smg.get.evaluation_splits(adata).set_index("genes")
    where = {"benchmark": "variation", "groupby": GROUPBY} | unit
    rows = [
        where
        | {"list": of, "seconds": round(seconds[of][0], 2), "cpu_seconds": round(seconds[of][1], 2)}
        | {metric: round(100 * float(table.loc[of, metric]), 2) for metric in (ERROR, *metrics)}
        for of in lists
    ]
    for row in rows:
        print(*row.values(), flush=True)
    return rows


def timed(n_cells: int, n_genes: int) -> list[dict[str, Any]]:
    """Seconds of `tl.panel` in memory, and the peak memory of the process with the matrix."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        adata = ad.read_h5ad(atlas_data.write(Path(folder) / "cells.h5ad", n_cells, gzip=False))
        for weight, target in ((0.0, "pc"), (0.1, "pc"), (0.3, "total")):
            for what in ("with the sums over the cells", "the sums are there"):
                options = {"variation": weight, "variation_target": target, "work": Path(folder) / "work"}
                start = time.perf_counter(), time.process_time()
                smg.tl.panel(adata, GROUPBY, n_genes=n_genes, **options)
                seconds = time.perf_counter() - start[0], time.process_time() - start[1]
                rows.append(
                    {"benchmark": "variation", "part": "time", "cells": n_cells, "genes": adata.n_vars}
                    | {"n_genes": n_genes, "variation": weight, "variation_target": target, "what": what}
                    | {"seconds": round(seconds[0], 1), "cpu_seconds": round(seconds[1], 1)}
                    | {"peak_mib": round(peak_mib())}
                )
    return rows


def methods(seed: int) -> dict[str, Callable]:
    """Functions from training cells and a number of genes to a list."""
    ours = {f"panel {weight:g}": partial(designed, variation=weight) for weight in WEIGHTS}
    ours |= {f"panel {w:g} total": partial(designed, variation=w, variation_target="total") for w in OF_TOTAL}
    others = {name: partial(baseline, method=method, seed=seed) for name, method in BASELINES.items()}
    unlabelled = {
        "pca loadings": loadings,
        "pca loadings, no families": partial(loadings, families=Request.exclude_families),
        "like geneBasis": like_genebasis,
    }
    return ours | unlabelled | others


def designed(cells: ad.AnnData, n_genes: int, **options: Any) -> list[str]:
    """The panel of `tl.panel`."""
    smg.tl.panel(cells := cells.copy(), GROUPBY, n_genes=n_genes, min_cells=10, **options)
    return list(smg.get.panel(cells))


def baseline(cells: ad.AnnData, n_genes: int, *, method: str, seed: int) -> list[str]:
    """The list of a method of `benchmarks.baselines`."""
    from smash_gpu.annotated.read import read

    data = read(cells, {"groupby": GROUPBY, "min_cells": 10})
    return data.names[METHODS[method].choose(data, n_genes, seed)].tolist()


def loadings(cells: ad.AnnData, n_genes: int, *, families: Iterable[str] = ()) -> list[str]:
    """The genes with the largest sum over 20 components of loading² × variance, as Spapros starts from."""
    import scanpy as sc

    cells = _logged(cells)
    sc.pp.pca(cells, n_comps=20, random_state=0)
    score = pd.Series((cells.varm["PCs"] ** 2) @ cells.uns["pca"]["variance"], cells.var_names)
    names = cells.var_names.to_numpy().astype(str)
    for found in family_rules(families, names, "auto", what="families").values():
        score[found] = 0.0
    return score.nlargest(n_genes).index.tolist()


def like_genebasis(cells: ad.AnnData, n_genes: int) -> list[str]:
    """Greedy as in geneBasis, on the 2,000 most variable genes.

    The next gene is the one whose mean over the nearest cells by the genes so far differs most from that over the
    nearest cells by 50 components (Minkowski distance, p = 3).
    """
    X = _logged(cells).X.toarray().astype(np.float32)
    variable = np.argsort(-X.var(axis=0), kind="stable")[:2000]
    X = X[:, variable]
    wanted = _smooth(X, PCA(50, random_state=0).fit_transform(X))
    chosen: list[int] = []
    known = np.broadcast_to(X.mean(axis=0), X.shape)
    while len(chosen) < n_genes:
        distance = (np.abs(wanted - known) ** 3).sum(axis=0)
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
        known = _smooth(X, X[:, chosen])
    return cells.var_names[variable[chosen]].tolist()


def _smooth(X: np.ndarray, points: np.ndarray, n_neighbors: int = 5) -> np.ndarray:
    """The mean of every gene over the nearest cells of every cell."""
    graph = kneighbors_graph(points, n_neighbors)
    return graph @ X / n_neighbors


def _logged(cells: ad.AnnData) -> ad.AnnData:
    import scanpy as sc

    cells = cells.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    return cells


def _timed(choose: Callable, of: str, seconds: dict, cells: ad.AnnData, n_genes: int) -> list[str]:
    start = time.perf_counter(), time.process_time()
    found = choose(cells, n_genes)
    seconds[of] = time.perf_counter() - start[0], time.process_time() - start[1]
    return found


def table(path: Path, seeds: list[int]) -> str:
    """Means over sets and seeds, the difference in misclassification to the panel by types alone, and the worst set."""
    lines = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    lines = lines[lines["list"].notna() & lines["seed"].isin(seeds)].drop_duplicates(KEY, keep="last")
    shown = [name for name in (ERROR, *METRICS, "seconds", "cpu_seconds") if name in lines]
    means = lines.groupby(["n_genes", "list"])[shown].mean()
    by_set = lines.groupby(["n_genes", "list", "set"])[ERROR].mean().unstack()
    plain = by_set.xs("panel 0", level="list").reindex(by_set.index.get_level_values("n_genes")).to_numpy()
    means.insert(1, "difference", (by_set - plain).mean(axis=1))
    means.insert(2, "worst_set", (by_set - plain).max(axis=1))
    return means.round(2).to_string()
