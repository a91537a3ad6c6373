"""Time of the inverse PCA on the CPU, and whether it keeps the genes of a full decomposition.

Cells are Poisson counts of a few programmes and noise, so that 80 % of the variance needs hundreds of components, as on
real cells; or a set with its candidates. A line holds the load of the machine before it and the processor time, since a
wall time beside other processes says little.
"""

from __future__ import annotations

import os
import time
import warnings

import numpy as np

from benchmarks import record

SHAPES = ("1000x15000", "3000x3500")
SEED = 31


def main(arguments: list[str]) -> None:
    """Run all shapes and sets, ``--repeats`` times each; append and print a line for each."""
    options = record.parser("inverse_pca")
    options.add_argument("--shapes", nargs="*", default=list(SHAPES), help="cells x candidates")
    options.add_argument("--sets", nargs="*", default=[], help="set:column of labels; its candidates after the filters")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--full", action="store_true", help="compare with a full decomposition of the genes")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    names = [*options.shapes, *options.sets]
    for name in names:
        data, candidates = planted(*map(int, name.split("x"))) if name in options.shapes else read(options.data, name)
        row = {"benchmark": "inverse_pca", "data": name} | measured(data, candidates, options.repeats)
        if options.full:
            row["same_genes_as_full"] = bool((full(data, candidates) == kept(data, candidates)).all())
        print(row, flush=True)
        record.write(options.json, [row])


def planted(n_cells: int, n_genes: int):
    """Counts of 20 programmes on top of noise, 1 count per gene and cell, as data without classes."""
    from scipy import sparse

    from smash_gpu.data.dataset import Dataset

    rng = np.random.default_rng(SEED)
    rate = rng.gamma(0.3, 1, (n_cells, 20)) @ rng.gamma(0.1, 1, (20, n_genes)) / 2 + rng.gamma(1, 0.4, n_genes)
    names = np.array([f"G{i}" for i in range(n_genes)], dtype=object)
    counts = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
    group = np.zeros(n_cells, dtype=int)
    return Dataset(counts, group, np.array(["all"], dtype=object), names, names), np.ones(n_genes, dtype=bool)


def read(folder, name: str):
    """A set and its candidates after the filters."""
    from benchmarks import quality
    from smash_gpu.selection import steps
    from smash_gpu.selection.options import Filters

    data = quality.read(folder, *name.split(":"))
    return data, steps.filter_genes(data, Filters())[0]


def kept(data, candidates: np.ndarray) -> np.ndarray:
    """Mask of the genes that the inverse PCA keeps."""
    from smash_gpu.selection import steps
    from smash_gpu.selection.options import InversePCA

    return steps.inverse_pca(data, candidates, InversePCA())[0]


def full(data, candidates: np.ndarray) -> np.ndarray:
    """The same from all eigenvectors of the correlation of the genes, as before November 2026."""
    from smash_gpu.compute import pca
    from smash_gpu.data.standardize import Z_CEILING

    index, stats = np.flatnonzero(candidates), data.stats.pooled
    correlation = data.moments(index, (stats.mean + Z_CEILING * stats.std)[0, index]).correlation
    values, vectors = np.linalg.eigh(correlation)
    share = np.cumsum(np.maximum(values[::-1], 0)) / np.maximum(values, 0).sum()
    axes = vectors[:, ::-1][:, : np.count_nonzero(share <= pca.VARIANCE) + 1]
    mask = np.zeros_like(candidates)
    mask[index[np.argsort(-np.abs(axes), axis=0)[: pca.N_TOP].ravel()]] = True
    return mask


def measured(data, candidates: np.ndarray, repeats: int) -> dict:
    """Seconds of wall and processor, the shortest of several, with the load before."""
    load = round(os.getloadavg()[0], 1)
    _ = data.stats  # the sums are there before the step
    wall, processor = [], []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        n_kept = int(kept(data, candidates).sum())
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu)
    shape = {"n_cells": len(data.cells), "n_candidates": int(candidates.sum()), "n_kept": n_kept}
    seconds = {"wall_s": round(min(wall), 2), "wall_max_s": round(max(wall), 2), "cpu_s": round(min(processor), 2)}
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "not limited")
    return shape | seconds | {"repeats": repeats, "load_before": load, "threads": threads}
