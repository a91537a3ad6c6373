"""XGBoost on the workers of a Dask cluster, by ``xgboost.dask``: the same trees with any number of workers.

Given expression, ``xgboost.dask`` makes the cut points of a gene from sketches of what each worker holds: the trees
then depend on the number of workers. So the cut points are made once, by this machine, and the workers get the number
of the bin that each value falls into. A sketch keeps every one of so few integers. The trees found on them are written
in terms of expression again. ``benchmarks/dask_boosting.py`` compares both.

A worker waits for another no longer than `SECONDS_TO_MEET`. XGBoost 3.2 to 3.4.1 leave one gap: if a worker is killed
within the 50 ms or so in which the workers connect to each other, the process of the scheduler may end, where
``xgboost.dask`` runs the tracker (19 of 80 kills in these 50 ms), or another worker may wait without a limit (2 of 80).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.runtime.cluster import despite_losses

SECONDS_TO_MEET = 300  # XGBoost's own limit, for a worker to wait for another


@dataclass(frozen=True)
class Cells:
    """Cells: how many each task has and their delayed `bins`, and the group and weight of each."""

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


def train(
    cells: Cells,
    cuts: Sequence[np.ndarray],
    params: Mapping[str, Any],
    n_rounds: int,
    client: Any,
    *,
    held_out: Cells | None = None,
    early_stopping_rounds: int = 0,
    tol: float = 0.0,
) -> Any:
    """A booster of expression, trained by the workers; repeated where one is lost meanwhile.

    Parameters
    ----------
    cuts
        `cut_points` of each gene.
    held_out, early_stopping_rounds, tol
        Cells whose loss stops the training, and how; as in `boosted.Boosted`. None: all rounds.
    """
    from dask import persist
    from xgboost import dask
    from xgboost.collective import Config

    from smash_gpu.models.xgboost_stopping import HELD_OUT, stopping

    waiting = Config(timeout=SECONDS_TO_MEET)

    def attempt() -> Any:
        client.wait_for_workers(1, timeout=SECONDS_TO_MEET)
        max_bin = params["max_bin"]
        how: dict[str, Any] = {"num_boost_round": n_rounds, "coll_cfg": waiting, "verbose_eval": False}
        learnt, *others = persist(*(_arrays(part, cuts) for part in (cells, held_out) if part))  # blocks are read once
        data = dask.DaskQuantileDMatrix(client, **learnt, max_bin=max_bin)
        if others:
            evals = dask.DaskQuantileDMatrix(client, **others[0], max_bin=max_bin, ref=data)
            how |= {"evals": [(evals, HELD_OUT)], "callbacks": [stopping(early_stopping_rounds, tol)]}
        return dask.train(client, dict(params), data, **how)["booster"]

    booster = of_values(despite_losses(attempt, client, "XGBoost was training"), cuts)
    booster.set_param({"device": params["device"]})  # a file of trees does not say where they predict
    return booster


def base_score(y: np.ndarray, weight: np.ndarray | None, params: Mapping[str, Any]) -> list[float]:
    """XGBoost's intercepts, found in a first round on this machine.

    Workers would sum the weights of their cells in another order, and round differently.
    """
    from xgboost import DMatrix, train

    cells = DMatrix(np.zeros((len(y), 1), np.float32), y, weight=weight)
    config = json.loads(train(dict(params), cells, 1).save_config())
    return json.loads(config["learner"]["learner_model_param"]["base_score"])


def _arrays(cells: Cells, cuts: Sequence[np.ndarray]) -> dict[str, Any]:
    """Bins, groups and weights as Dask arrays with a chunk per task."""
    from dask import array

    sizes = tuple(n_cells for n_cells, _ in cells.bins)
    parts = [array.from_delayed(part, (n_cells, len(cuts)), _kind(cuts)) for n_cells, part in cells.bins]
    per_cell = {"label": cells.group, "weight": cells.weight}
    found = {name: array.from_array(v, chunks=(sizes,)) for name, v in per_cell.items() if v is not None}
    return {"data": array.concatenate(parts)} | found


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
