"""Types against structure: panels by `tl.panel` at several shares of the variation, and baselines, of equal size.

Every seed holds out 30 % of the cells of each class; a list is chosen on the others. One line per set, seed and list:
misclassification of kNN(3), the overlap of neighbourhoods of held-out cells, the explained variance of genes that the
list lacks (both of `tl.evaluate`), and the seconds of the choice. Seeds 61 and up were used for development; judge with
others. ``--table`` prints means over the lines of a file. ``--cells 100000`` instead times `tl.panel` on as many
synthetic cells × 20,000 genes: with and without the variation, and again when the sums over the cells are there.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

import smash_gpu as smg
from benchmarks import atlas_data, record
from benchmarks.panel import peak_mib

GROUPBY = "cell_type"
SETS = ("pbmc3k", "paul15", "zeisel")
SEEDS = (61, 62)
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5)
METRICS = ("misclassification", "neighbour_overlap", "explained_variance")


def main(arguments: list[str]) -> None:
    """Judge all lists, print and append the lines."""
    options = record.parser("variation")
    options.add_argument("--sets", nargs="+", default=list(SETS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--n-genes", type=int, default=50)
    options.add_argument("--table", action="store_true", help="only print the table of the lines")
    options.add_argument("--cells", type=int, help="time synthetic cells instead")
    options = options.parse_args(arguments)
    if options.cells:
        record.write(options.json, rows := timed(options.cells, options.n_genes))
        print(*rows, sep="\n")
        return
    if not options.table:
        for name in options.sets:
            for seed in options.seeds:
                adata = ad.read_h5ad(options.data / f"{name}.h5ad")
                record.write(options.json, judged(adata, name, seed, options.n_genes))
    print(table(options.json))


def judged(adata: ad.AnnData, name: str, seed: int, n_genes: int) -> list[dict[str, Any]]:
    """One row per list."""
    seconds: dict[str, float] = {}
    lists = {of: partial(_timed, choose, of, seconds) for of, choose in methods().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smg.tl.evaluate(
            adata, GROUPBY, genes=lists, n_genes=n_genes, n_splits=1, n_random=0, structure=True, random_state=seed
        )
    table = smg.get.evaluation_splits(adata).set_index("genes")
    where = {"benchmark": "variation", "set": name, "groupby": GROUPBY, "seed": seed, "n_genes": n_genes}
    rows = [
        where
        | {"list": of, "seconds": round(seconds[of], 2)}
        | {metric: round(100 * float(table.loc[of, metric]), 2) for metric in METRICS}
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


def methods() -> dict[str, Callable]:
    """Functions from training cells and a number of genes to a list."""
    ours = {f"panel {weight:g}": partial(designed, variation=weight) for weight in WEIGHTS}
    ours |= {f"panel {w:g} total": partial(designed, variation=w, variation_target="total") for w in (0.2, 0.3, 1.0)}
    ours["panel 1"] = partial(designed, variation=1.0)
    return ours | {"wilcoxon": by_wilcoxon, "variable": variable, "pca loadings": loadings}


def designed(cells: ad.AnnData, n_genes: int, **options: Any) -> list[str]:
    """The panel of `tl.panel`."""
    smg.tl.panel(cells := cells.copy(), GROUPBY, n_genes=n_genes, **options)
    return list(smg.get.panel(cells))


def by_wilcoxon(cells: ad.AnnData, n_genes: int) -> list[str]:
    """The best of each class against the rest in turn."""
    import scanpy as sc

    cells = _logged(cells)
    sc.tl.rank_genes_groups(cells, GROUPBY, method="wilcoxon")
    turns = [gene for row in cells.uns["rank_genes_groups"]["names"] for gene in row]
    return list(dict.fromkeys(turns))[:n_genes]


def variable(cells: ad.AnnData, n_genes: int) -> list[str]:
    """The most variable genes by scanpy's normalised dispersion."""
    import scanpy as sc

    found = sc.pp.highly_variable_genes(_logged(cells), n_top_genes=n_genes, inplace=False)
    return list(found.nlargest(n_genes, "dispersions_norm").index)


def loadings(cells: ad.AnnData, n_genes: int) -> list[str]:
    """The genes with the largest sum over 20 components of loading² × variance, as Spapros starts from."""
    import scanpy as sc

    cells = _logged(cells)
    sc.pp.pca(cells, n_comps=20, random_state=0)
    score = (cells.varm["PCs"] ** 2) @ cells.uns["pca"]["variance"]
    return pd.Series(score, cells.var_names).nlargest(n_genes).index.tolist()


def _logged(cells: ad.AnnData) -> ad.AnnData:
    import scanpy as sc

    cells = cells.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    return cells


def _timed(choose: Callable, of: str, seconds: dict[str, float], cells: ad.AnnData, n_genes: int) -> list[str]:
    start = time.perf_counter()
    found = choose(cells, n_genes)
    seconds[of] = time.perf_counter() - start
    return found


def table(path: Path) -> str:
    """Means over sets and seeds, the difference in misclassification to the panel by types alone, and the worst set."""
    lines = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    lines = lines[lines["list"].notna()]
    means = lines.groupby(["n_genes", "list"])[[*METRICS, "seconds"]].mean()
    by_set = lines.groupby(["n_genes", "list", "set"])["misclassification"].mean().unstack()
    plain = by_set.xs("panel 0", level="list").reindex(by_set.index.get_level_values("n_genes")).to_numpy()
    means.insert(1, "difference", (by_set - plain).mean(axis=1))
    means.insert(2, "worst_set", (by_set - plain).max(axis=1))
    return means.round(2).to_string()
