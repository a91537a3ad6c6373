"""Metrics from NS-Forest and Spapros themselves; the tests of `smash_gpu.evaluation.peers` compare ours with them.

Runs in a separate environment, with the originals and without smash-gpu:

    pip install --no-deps nsforest==4.1 spapros==0.1.6
    pip install scanpy xgboost-cpu igraph plotly seaborn rich questionary ruamel.yaml upsetplot venndata pytest
    PYTHONPATH=tests python benchmarks/peers_original.py tests/evaluation/peers/peers.json
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scanpy as sc
from cells import planted

PACKAGES = ("nsforest", "spapros", "scanpy", "scikit-learn", "xgboost-cpu", "igraph", "numpy", "scipy", "pandas")
MARKERS = {
    "A": ["MARKER0X", "MARKER0Y", "NOISE20"],
    "B / b": ["MARKER1X", "NOISE21"],
    "CD4+ T": ["MARKER2Z", "MARKER2X", "MARKER2Y", "NOISE22"],
}
LISTED = {"A": ["MARKER0X", "MARKER0Z"], "B / b": ["MARKER1Y", "NOISE30"], "CD4+ T": ["MARKER2Y", "NOISE31", "NOISE32"]}
PANELS = {
    "mixed": ["MARKER0X", "MARKER1X", "MARKER2X", "NOISE20", "NOISE21", "NOISE22", "NOISE23", "NOISE24"],
    "noise": [f"NOISE{i}" for i in range(25, 37)],
    "large": [f"NOISE{i}" for i in range(9, 60)] + ["MARKER0Y", "MARKER1Y"],
}
METRICS = ("forest_clfs", "knn_overlap", "marker_corr", "gene_corr")


def cells() -> Any:
    """The cells of the tests, log-normalised; four cells form a group that is rare enough to be left out."""
    adata = planted(np.random.default_rng(0))
    adata.uns["sum"] = float(adata.X.sum())
    adata.uns["weighted"] = float((adata.X.toarray() * np.arange(1, 61)).sum())
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


def nsforest(adata: Any) -> dict:
    """F-beta and on-target by `ev.DecisionTree`, and binary scores."""
    import nsforest as ns

    with contextlib.redirect_stdout(io.StringIO()):
        prepared = ns.pp.prep_binary_scores(
            ns.pp.prep_medians(adata.copy(), "cell_type", positive_genes_only=False), "cell_type"
        )
        table = ns.ev.DecisionTree(prepared.copy(), "cell_type", MARKERS, output_folder="/tmp/nsforest/")
    columns = ["clusterName", "f_score", "precision", "recall", "TN", "FP", "FN", "TP", "onTarget"]
    binary = prepared.varm["binary_scores_cell_type"]
    return {
        "scores": table[columns].to_dict("records"),
        "binary": {group: binary[group].tolist() for group in binary.columns},
    }


def spapros(adata: Any, panel: list[str]) -> dict:
    """Summary metrics as computed by the evaluator."""
    from spapros.evaluation import metrics as m

    found = {}
    parameters = m.get_metric_default_parameters()
    parameters["forest_clfs"]["ct_key"] = "cell_type"
    parameters["marker_corr"]["marker_list"] = LISTED
    for metric in METRICS:
        options = {"parameters": parameters[metric], "verbosity": 0}
        shared = m.metric_shared_computations(adata.copy(), metric, **options)
        before = m.metric_pre_computations(panel, adata.copy(), metric, **options)
        results = m.metric_computations(panel, adata.copy(), metric, shared, before, n_jobs=1, **options)
        found |= {name: float(v) for name, v in m.metric_summary(results, metric, parameters[metric]).items()}
        if metric == "forest_clfs":
            found["confusion"] = {"groups": list(results.index), "rows": results.to_numpy().tolist()}
        if metric == "knn_overlap":
            found["overlaps"] = results["mean"].to_dict()
    return found


def similarity(adata: Any, panel: list[str]) -> dict:
    """Leiden clusterings of the panel and of all genes, and the result of `cluster_similarity` on them."""
    from spapros.evaluation import metrics as m

    parameters = m.get_metric_default_parameters()["cluster_similarity"]
    ours, whole = (m.leiden_clusterings(a.copy(), parameters["ns"], verbosity=0) for a in (adata[:, panel], adata))
    nmi = m.clustering_nmis(ours, whole, parameters["ns"], verbosity=0)
    labels = [
        {int(n): list(map(int, row[1:])) for n, row in zip(table.index, table.to_numpy(), strict=True) if row[1:].all()}
        for table in (ours.dropna(), whole.dropna())
    ]
    return {
        "panel": labels[0],
        "all": labels[1],
        "nmi": {int(n): None if np.isnan(v) else float(v) for n, v in nmi["nmi"].items()},
        "summary": m.metric_summary(nmi, "cluster_similarity", {"AUC_borders": parameters["AUC_borders"]}),
    }


def main(out: Path) -> None:
    """Write everything to ``out``."""
    adata = cells()
    found = {
        "versions": {name: version(name) for name in PACKAGES},
        "cells": {"sum": adata.uns.pop("sum"), "weighted": adata.uns.pop("weighted")},
        "markers": MARKERS,
        "listed": LISTED,
        "panels": PANELS,
        "nsforest": nsforest(adata),
        "spapros": {name: spapros(adata, panel) for name, panel in PANELS.items()},
        "cluster_similarity": similarity(adata, PANELS["large"]),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=None, separators=(",", ":")))


def timed(data: Path, panel: Path) -> None:
    """Seconds and values of Spapros' knn_overlap and gene_corr on a set's 1,000 most variable genes; prints JSON."""
    from spapros.evaluation import metrics as m

    adata = sc.read_h5ad(data)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    genes = json.loads(panel.read_text())
    adata = adata[:, genes["reference"]].copy()
    found = {}
    for metric in ("knn_overlap", "gene_corr"):
        options = {"parameters": m.get_metric_default_parameters()[metric], "verbosity": 0}
        start = time.perf_counter()
        shared = m.metric_shared_computations(adata.copy(), metric, **options)
        before = m.metric_pre_computations(genes["panel"], adata.copy(), metric, **options)
        results = m.metric_computations(genes["panel"], adata.copy(), metric, shared, before, n_jobs=1, **options)
        values = m.metric_summary(results, metric, options["parameters"])
        seconds = time.perf_counter() - start
        found[metric] = {"seconds": seconds, "values": {name: float(v) for name, v in values.items()}}
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "time":
        timed(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]))
