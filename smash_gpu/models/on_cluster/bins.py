"""XGBoost on the workers of a Dask cluster, to the same trees whatever cluster it is.

Left to itself XGBoost makes the cut points of a gene from sketches of what each worker holds: other workers, other
trees. So the cut points are made once, beforehand; the workers are given the number of the bin that each value falls
into, of which every sketch keeps each, and the trees found on those numbers are written in terms of the values again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.runtime.cluster import despite_losses

SECONDS_FOR_A_WORKER = 300


@dataclass(frozen=True)
class Cells:
    """Training cells: how many each task has and their delayed `bins`, and the group and weight of each."""

    bins: Sequence[tuple[int, Any]]
    group: np.ndarray
    weight: np.ndarray | None = None


def cut_points(X: Any, y: np.ndarray, weight: np.ndarray | None, max_bin: int) -> list[np.ndarray]:
    """XGBoost's cut points of each gene, by the expression of some cells; the last is above all values."""
    from xgboost import QuantileDMatrix

    ends, values = QuantileDMatrix(X, y, weight=weight, max_bin=max_bin).get_quantile_cut()
    return [cuts[1:] for cuts in np.split(values, ends[1:-1].astype(np.int64))]  # the first is below all values


def bins(X: Any, cuts: Sequence[np.ndarray]) -> np.ndarray:
    """The number of the bin that each value falls into; cells × genes, in host memory."""
    xp = namespace(X)
    by_gene = xp.ascontiguousarray(X.T)
    found = xp.empty(by_gene.shape, dtype=_kind(cuts))
    for gene, points in enumerate(cuts):
        found[gene] = xp.searchsorted(xp.asarray(points[:-1]), by_gene[gene], side="right")
    return np.ascontiguousarray(to_host(found).T)


def train(cells: Cells, cuts: Sequence[np.ndarray], params: Mapping[str, Any], n_rounds: int, client: Any) -> Any:
    """A booster of expression, trained by all workers that hold cells; where one is lost, by those that remain.

    Parameters
    ----------
    cuts
        `cut_points` of each gene.
    """
    from xgboost import Booster

    from smash_gpu.models.on_cluster.xgboost_workers import learn_together

    def attempt() -> bytearray:
        return learn_together(_by_worker(cells, client), dict(params), n_rounds, client)

    booster = Booster()
    booster.load_model(despite_losses(attempt, client, "XGBoost was training"))
    return of_values(booster, cuts)


def _by_worker(cells: Cells, client: Any) -> dict[str, list[tuple]]:
    """The bins as futures, group and weight of each task's cells, by the worker that holds them: dealt out in turn."""
    from distributed import wait

    client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
    turns = cycle(sorted(client.nthreads()))
    futures = [
        client.compute(part, workers=[worker], allow_other_workers=True)
        for (_, part), worker in zip(cells.bins, turns, strict=False)
    ]
    wait(futures)
    holders = client.who_has(futures)
    ends = np.cumsum([n_cells for n_cells, _ in cells.bins])[:-1]
    groups = np.split(cells.group, ends)
    weights = [None] * len(futures) if cells.weight is None else np.split(cells.weight, ends)
    found: dict[str, list[tuple]] = {}
    for future, *values in zip(futures, groups, weights, strict=True):
        worker, *_ = holders[future.key]  # ValueError where it was lost since
        found.setdefault(worker, []).append((future, *values))
    return found


def _kind(cuts: Sequence[np.ndarray]) -> np.dtype:
    return np.min_scalar_type(max(map(len, cuts)) - 1)


def of_values(booster: Any, cuts: Sequence[np.ndarray]) -> Any:
    """The booster with splits of bin numbers as splits of values: "bin < 3" is "value < the third cut point"."""
    from xgboost import Booster

    model = json.loads(bytes(booster.save_raw("json")))
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        splits = zip(tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True)
        tree["split_conditions"] = [at if left < 0 else float(cuts[gene][round(at) - 1]) for left, gene, at in splits]
    found = Booster()
    found.load_model(bytearray(json.dumps(model).encode()))
    return found
