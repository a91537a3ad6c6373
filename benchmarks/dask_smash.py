"""``tl.smash`` on a Dask array, by a cluster of two workers with one thread each: seconds, and the lines that do it.

To compare versions, run it in turns with PYTHONPATH set to a checkout of each, on the same machine.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks import record

CELLS, GENES, GROUPS, ROWS_PER_CHUNK = 20_000, 2_000, 8, 500
MODELS = {"rf": {"n_estimators": 25}, "xgboost": {"n_estimators": 5}}
NAMES = ("distributed/*.py", "boosting.py", "blocks/dask.py", "models/on_cluster/*.py", "runtime/cluster.py")


def main(arguments: list[str]) -> None:
    """Print and append one line per model."""
    from distributed import Client, LocalCluster

    options = record.parser("dask_smash")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--version", required=True, help="what the line is called, such as a commit")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    how = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "4GB", "dashboard_address": None}
    rows = []
    with tempfile.TemporaryDirectory() as folder, LocalCluster(**how) as cluster, Client(cluster) as client:
        path = stored(Path(folder))
        for model, model_options in MODELS.items():
            smash(path, model, model_options)  # imports
            before = processor_seconds(client)
            taken = record.timed(lambda m=model, o=model_options: smash(path, m, o), options.repeats)
            taken["processor_s"] = (processor_seconds(client) - before) / (options.repeats + 1)
            row = {"benchmark": "dask_smash", "version": options.version, "model": model, **model_options, **taken}
            row |= {"cells": CELLS, "genes": GENES, "rows_per_chunk": ROWS_PER_CHUNK, "lines": lines()}
            rows.append(row | {"workers": len(client.nthreads()), "load": os.getloadavg()[0]})
            print(json.dumps(rows[-1]), flush=True)
    record.write(options.json, rows)


def stored(folder: Path) -> Path:
    """A file of counts at random in which ten genes are high in each group."""
    import anndata as ad
    from scipy import sparse

    rng = np.random.default_rng(0)
    group = rng.integers(0, GROUPS, CELLS)
    rate = np.tile(rng.gamma(0.3, 0.5, GENES), (GROUPS, 1))
    for number in range(GROUPS):
        rate[number, 10 * number : 10 * number + 10] += 2
    blocks = [sparse.csr_matrix(rng.poisson(rate[part]).astype(np.float32)) for part in np.array_split(group, 20)]
    adata = ad.AnnData(sparse.vstack(blocks, format="csr"))
    adata.obs["group"] = np.char.add("group ", group.astype(str))
    adata.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def smash(path: Path, model: str, model_options: dict) -> None:
    """From the file, lazily, to the scores."""
    import anndata as ad
    import h5py
    from anndata.experimental import read_elem_lazy

    import smash_gpu as smg

    with h5py.File(path) as file:
        X = read_elem_lazy(file["X"], chunks=(ROWS_PER_CHUNK, GENES))
        adata = ad.AnnData(X, obs=ad.io.read_elem(file["obs"]), var=ad.io.read_elem(file["var"]))
        smg.tl.smash(adata, "group", model=model, model_options=model_options)


def processor_seconds(client) -> float:
    """Used by this process, with the scheduler, and by the workers: steadier than time on a busy machine."""
    return time.process_time() + sum(client.run(time.process_time).values())


def lines() -> int:
    """Of the modules that compute on a cluster."""
    import smash_gpu

    root = Path(smash_gpu.__file__).parent
    return sum(len(file.read_text().splitlines()) for name in NAMES for file in root.glob(name))
