"""XGBoost on the workers of a Dask cluster, to the same trees whatever cluster it is.

Left to itself XGBoost makes the cut points of a gene from sketches of what each worker holds: other workers, other
trees. So the cut points are made once, beforehand; the workers are given the number of the bin that each value falls
into, of which every sketch keeps each, and the trees found on those numbers are written in terms of the values again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.arrays import namespace, to_host
from smash_gpu.distributed.clusters import despite_losses

SECONDS_TO_MEET = 300  # until all workers have found each other, and that one waits for another's sums


@dataclass(frozen=True)
class Cells:
    """Training cells: how many each task has and their delayed `bins`, and the group and weight of each."""

    bins: Sequence[tuple[int, Any]]
    group: np.ndarray
    weight: np.ndarray | None = None


def problem() -> str | None:
    """Why ``xgboost.dask`` cannot be used, and the way out; None if it can."""
    try:
        import xgboost.dask  # noqa: F401
    except ImportError as error:
        return f"xgboost.dask cannot be imported ({error}): pip install 'smash-gpu[dask]'"
    return None


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
    """A booster of expression, trained by ``xgboost.dask``; where a worker is lost, on those that remain.

    Parameters
    ----------
    cuts
        `cut_points` of each gene.
    """
    import dask.array as da
    from xgboost import collective
    from xgboost import dask as xgboost

    X = da.concatenate([da.from_delayed(block, (n, len(cuts)), _kind(cuts)) for n, block in cells.bins])
    y, weight = (None if v is None else da.from_array(v, chunks=X.chunks[:1]) for v in (cells.group, cells.weight))
    wait = collective.Config(timeout=SECONDS_TO_MEET, tracker_timeout=SECONDS_TO_MEET)

    def attempt() -> Any:
        matrix = xgboost.DaskQuantileDMatrix(client, X, y, weight=weight, max_bin=params["max_bin"])
        return xgboost.train(client, dict(params), matrix, num_boost_round=n_rounds, coll_cfg=wait)["booster"]

    return of_values(despite_losses(attempt, client, "XGBoost was training"), cuts)


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
