"""Spapros' metrics computed by smash-gpu and by Spapros itself on real data: agreement and seconds."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np

import smash_gpu as smg
from benchmarks import record

SETS = ("zeisel", "pbmc3k", "onek1k_40donors")
N_REFERENCE, N_PANEL = 1000, 60
METRICS = ("knn_overlap", "gene_corr")
ORIGINAL = Path(__file__).with_name("peers_original.py")


def main(arguments: list[str]) -> None:
    """Run both programs on every set; print and append one line per set and metric."""
    options = record.parser("peers")
    options.add_argument("--spapros", type=Path, required=True, help="Python of an environment with spapros 0.1.6")
    options = options.parse_args(arguments)
    rows = []
    for name in SETS:
        rows += compare(name, options)
    record.write(options.json, rows)


def compare(name: str, options) -> list[dict]:
    """One set, with the most variable genes as reference and every sixteenth of them as panel."""
    path = options.data / f"{name}.h5ad"
    adata = ad.read_h5ad(path)
    counts = adata.X.toarray()
    e = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    order = np.argsort(-e.var(axis=0), kind="stable")[:N_REFERENCE]
    adata = adata[:, np.sort(order)].copy()
    adata.X = e[:, np.sort(order)]  # library sizes of all genes
    panel = adata.var_names[:: N_REFERENCE // N_PANEL][:N_PANEL].tolist()
    with tempfile.TemporaryDirectory() as folder:
        genes = Path(folder) / "genes.json"
        genes.write_text(json.dumps({"reference": adata.var_names.tolist(), "panel": panel}))
        command = [str(options.spapros), "-W", "ignore", str(ORIGINAL), "time", str(path), str(genes)]
        environment = {"PYTHONPATH": str(ORIGINAL.parents[1] / "tests"), "PATH": "/usr/bin:/bin"}
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    theirs = json.loads(out.splitlines()[-1])
    rows = []
    for metric in METRICS:
        smg.tl.spapros_metrics(adata, "cell_type", genes=panel[:3], metrics=[metric], normalize=False)  # imports
        start = time.perf_counter()
        smg.tl.spapros_metrics(adata, "cell_type", genes=panel, metrics=[metric], normalize=False)
        seconds = time.perf_counter() - start
        values = smg.get.spapros_metrics(adata).loc["list"].to_dict()
        gap = max(abs(values[key] - value) for key, value in theirs[metric]["values"].items())
        row = {"benchmark": "peers", "set": name, "cells": adata.n_obs, "metric": metric, "seconds": seconds}
        row |= {"spapros_seconds": theirs[metric]["seconds"], "values": values, "largest_difference": gap}
        print(row)
        rows.append(row)
    return rows
