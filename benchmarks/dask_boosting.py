"""Does ``xgboost.dask`` grow the trees of one machine, with 1, 2 and 3 workers? On bin numbers and on expression."""

from __future__ import annotations

import json
from itertools import product

import numpy as np

from benchmarks import record

GENES, ROUNDS, MAX_BIN = 100, 5, 32
SETS = ("pbmc3k", "paul15", "zeisel")
CELLS_PER_CHUNK = 190


def main(arguments: list[str]) -> None:
    """Print and append one line per data set, seed, weights and number of workers."""
    from distributed import Client, LocalCluster

    options = record.parser("dask_boosting")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    options = options.parse_args(arguments)
    problems = {
        f"{name}, seed {seed}": problem for seed in range(options.seeds) for name, problem in drawn(options, seed)
    }
    for n_workers in options.workers:
        how = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**how) as cluster, Client(cluster) as client:
            for (name, (X, y)), weighted in product(problems.items(), (False, True)):
                row = {"benchmark": "dask_boosting", "problem": name, "cells": len(X), "genes": X.shape[1]}
                row |= {"workers": n_workers, "class_weight": weighted} | compared(X, y, weighted, client)
                print(json.dumps(row), flush=True)
                record.write(options.json, [row])


def drawn(options, seed):
    """Expression of some genes and the group of each cell: counts drawn at random, and each real set."""
    import anndata as ad
    import scanpy as sc

    rng = np.random.default_rng(seed)
    y = rng.integers(0, 5, 1500)
    counts = rng.poisson(rng.gamma(0.4, 2.0, (5, GENES))[y] * rng.gamma(2, 0.5, (1500, 1)))
    yield "random counts", (np.log1p(counts).astype(np.float32), y)
    for name in SETS:
        path = options.data / f"{name}.h5ad"
        if not path.exists():
            continue
        adata = ad.read_h5ad(path)
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        X = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
        found = np.flatnonzero(X.any(axis=0))
        X = np.ascontiguousarray(X[:, rng.choice(found, min(GENES, len(found)), replace=False)], dtype=np.float32)
        yield name, (X, adata.obs["cell_type"].astype("category").cat.codes.to_numpy().astype(np.int64))


def compared(X, y, weighted, client) -> dict:
    """How far the trees of the workers are from those of one machine, on bins and on values."""
    from sklearn.utils.class_weight import compute_sample_weight
    from xgboost import QuantileDMatrix, train

    from smash_gpu.models.on_cluster import bins as on_cluster

    weight = compute_sample_weight("balanced", y).astype(np.float32) if weighted else None
    params = {"objective": "multi:softprob", "num_class": int(y.max()) + 1, "max_depth": 9, "learning_rate": 0.25}
    params |= {"max_bin": MAX_BIN, "seed": 0}
    cuts = on_cluster.cut_points(X, y, weight, MAX_BIN)
    bins = on_cluster.bins(X, cuts)
    alone = train(params, QuantileDMatrix(X, y, weight=weight, max_bin=MAX_BIN), ROUNDS)
    on_bins = train(params, QuantileDMatrix(bins, y, weight=weight, max_bin=MAX_BIN), ROUNDS)
    base = base_score(on_bins)
    return {
        "bins, one machine": differences(alone, on_cluster.of_values(on_bins, cuts), X),
        "bins, workers": differences(on_bins, on_workers(bins, y, weight, params, client), bins),
        "bins, workers, base_score given": differences(
            on_bins, on_workers(bins, y, weight, params | {"base_score": base}, client), bins
        ),
        "values, workers": differences(alone, on_workers(X, y, weight, params, client), X),
    }


def on_workers(X, y, weight, params, client):
    """The booster that ``xgboost.dask`` trains."""
    import dask.array as da
    from xgboost import dask as dxgb

    data, label = da.from_array(X, chunks=(CELLS_PER_CHUNK, -1)), da.from_array(y, chunks=CELLS_PER_CHUNK)
    weight = None if weight is None else da.from_array(weight, chunks=CELLS_PER_CHUNK)
    cells = dxgb.DaskQuantileDMatrix(client, data, label, weight=weight, max_bin=MAX_BIN)
    return dxgb.train(client, params, cells, num_boost_round=ROUNDS)["booster"]


def base_score(booster):
    """As a parameter."""
    return json.loads(json.loads(booster.save_config())["learner"]["learner_model_param"]["base_score"])


def differences(one, other, X) -> dict:
    """Trees that differ in any number, those that differ in a split, and how far gains and predictions are apart."""
    pairs = list(zip(trees(one), trees(other), strict=True))
    gains = [booster.get_score(importance_type="total_gain") for booster in (one, other)]
    gains = [np.array([gain.get(f"f{gene}", 0.0) for gene in range(X.shape[1])]) for gain in gains]
    used = gains[0] > 0
    apart = np.abs(one.inplace_predict(X) - other.inplace_predict(X)).max()
    return {
        "trees": len(pairs),
        "differ": sum(a != b for a, b in pairs),
        "other_splits": sum(a["split_indices"] != b["split_indices"] for a, b in pairs),
        "gain_share": float(np.abs(gains[0] / gains[0].sum() - gains[1] / gains[1].sum()).max()),
        "gain_relative": float(np.abs(gains[1][used] / gains[0][used] - 1).max()),
        "probability": float(apart),
    }


def trees(booster) -> list[dict]:
    """As XGBoost saves them."""
    return json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
