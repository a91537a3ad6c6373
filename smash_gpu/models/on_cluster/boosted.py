"""Boosted trees for cells that stay on a Dask cluster; trees and sums leave it, and a block of cells for the bins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from smash_gpu.blocks.fold import delayed_parts
from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import namespace, place, to_host
from smash_gpu.data.dataset import LEFT_OUT, Dataset
from smash_gpu.data.shuffle import by_block
from smash_gpu.data.splits import Split, draw
from smash_gpu.data.standardize import standardize
from smash_gpu.data.stats import group_stats
from smash_gpu.models.attribution import treeshap
from smash_gpu.models.boosted import DEFAULT_IMPORTANCE
from smash_gpu.models.nearest_mean import NearestMean, held_out, right_by_group
from smash_gpu.models.on_cluster import bins
from smash_gpu.runtime.cluster import active_client, is_dask


@dataclass(frozen=True)
class _Sums(Additive):
    """Sum of ``z`` over the training cells (groups × genes), and how many held-out cells of every group the model and
    the nearest class mean predict right.
    """

    z: Any
    right: Any
    nearest: Any


def can_stay(data: Dataset, model: Any) -> bool:
    """Whether the cells can stay on the workers, to the same trees: a Dask array, an active client, one batch, and
    XGBoost's histograms of all cells (``subsample`` draws on each worker for itself).
    """
    if data.has_batches or not (is_dask(data.matrix) and active_client()):
        return False
    from smash_gpu.models.boosted import Boosted

    return isinstance(model, Boosted) and model.facts.reads_parts and model.params.get("subsample", 1) == 1


def boost(data: Dataset, genes: np.ndarray, order: np.ndarray, *, model: Any, split: Split) -> dict[str, Any]:
    """Fit a `models.boosted.Boosted` on the workers; its ``scores`` (groups × genes), ``importance`` (genes) and what
    `held_out` says.

    The same as its ``fit``, ``importance``, ``global_importance`` and ``predict`` on the expression of the numbered
    genes, of which no more than one block of rows (`shuffle.block_cuts`) comes to the client.

    Parameters
    ----------
    order, split
        Which of ``data.cells`` each row is, and the rows to learn from and to hold out.
    """
    cells, y = data.cells[order], data.labels[order]
    learnt, tested = (_labelled(data, cells[rows]) for rows in (split.train, split.test))
    weight = model.weight(y[split.train])
    first = by_block(split.train, (len(cells), len(genes)))[0]
    X = place(_gathered(data, genes, cells[first]), data.device)  # XGBoost's sketch on a device has its own cut points
    cuts = bins.cut_points(X, y[first], _of(weight, slice(len(first))), model.params["max_bin"])
    model.n_groups = data.n_groups
    params = model.params | {"num_class": data.n_groups}
    params["base_score"] = bins.base_score(y[split.train], weight, params)
    stops: dict[str, Any] = {}
    of_learnt, of_held_out = _bins(data, genes, learnt, tested, cuts)
    parts = _cells(of_learnt, data, cells[split.train], model)
    if model.early_stopping_rounds and len(split.test):
        stops |= {"early_stopping_rounds": model.early_stopping_rounds, "tol": model.tol}
        stops["held_out"] = _cells(of_held_out, data, cells[split.test], model)
    model.booster = bins.train(parts, cuts, params, model.n_estimators, active_client(), **stops)
    sums = _sums(data, genes, learnt, tested, model)
    found = held_out(y[split.test], sums.right, sums.nearest)
    found["importance"] = model.gain(len(genes), DEFAULT_IMPORTANCE)
    if model.kind == "shap":
        explained = draw(y, split.train, model.max_explained, model.random_state, balanced=True)
        scores = treeshap.mean_abs(model.booster, _gathered(data, genes, cells[explained]), data.n_groups)
        return {"scores": scores} | found
    sizes = np.bincount(y[split.train], minlength=data.n_groups)
    return {"scores": model.gain(len(genes), model.kind) * sums.z / np.maximum(sizes, 1)[:, None]} | found


def _labelled(data: Dataset, cells: np.ndarray) -> np.ndarray:
    group = np.full_like(data.group, LEFT_OUT)
    group[cells] = data.group[cells]
    return group


def _of(weight: np.ndarray | None, rows: Any) -> np.ndarray | None:
    return None if weight is None else weight[rows]


def _gathered(data: Dataset, genes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """In the order of the data."""
    return data.only(np.sort(cells)).expression(genes, into=np.empty((len(cells), len(genes)), np.float32))


def _cells(parts: list[tuple[int, Any]], data: Dataset, cells: np.ndarray, model: Any) -> bins.Cells:
    """The numbered cells in the order of the data, with their bins."""
    group = data.group[np.sort(cells)]
    return bins.Cells(parts, group, model.weight(group))


def _bins(
    data: Dataset, genes: np.ndarray, learnt: np.ndarray, held_out: np.ndarray, cuts: list[np.ndarray]
) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """How many training cells each task has, and their bins; the same of held-out cells. Tasks without any left out."""
    from dask import delayed

    either = np.maximum(learnt, held_out)
    step = partial(_binned, genes=genes, target_sum=data.target_sum, cuts=cuts)
    found: tuple[list, list] = ([], [])
    for cells, part in delayed_parts(data.matrix, either, step=step, device=data.device):
        of_part = either[cells] >= 0
        for side, group in zip(found, (learnt, held_out), strict=True):
            is_here = (group[cells] >= 0)[of_part]
            if is_here.any():
                side.append((int(np.count_nonzero(is_here)), delayed(np.compress)(is_here, part, axis=0)))
    return found


def _binned(
    block: Any, group: np.ndarray, *, genes: np.ndarray, target_sum: float | None, cuts: list[np.ndarray]
) -> np.ndarray:
    return bins.bins(ops.gather_dense(ops.labelled(block, group), genes, target_sum), cuts)


def _sums(data: Dataset, genes: np.ndarray, learnt: np.ndarray, tested: np.ndarray, model: Any) -> _Sums:
    how: dict[str, Any] = {"target_sum": data.target_sum, "device": data.device, "fold": data.known.fold}
    stats = group_stats(data.matrix, learnt, data.n_groups, **how)
    mean, std = stats.pooled.mean[0, genes], stats.pooled.std[0, genes]
    simple = NearestMean(stats.mean[:, genes], std)
    n_groups, target_sum, predict = data.n_groups, data.target_sum, model.predict

    def step(block: Any, learnt: np.ndarray, tested: np.ndarray) -> _Sums:
        z, label = ops.gather_dense(ops.labelled(block, learnt), genes, target_sum), learnt[learnt >= 0]
        xp = namespace(z)
        member = xp.eye(n_groups)[xp.asarray(label)]
        total = member.T @ standardize(z, mean, std).astype(np.float64)
        X, label = ops.gather_dense(ops.labelled(block, tested), genes, target_sum), tested[tested >= 0]
        right = [right_by_group(label, how(X) if len(label) else label, n_groups) for how in (predict, simple.predict)]
        return _Sums(to_host(total), *right)

    return data.known.fold(data.matrix, step, learnt, tested, device=data.device)
