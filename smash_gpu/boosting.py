"""Boosted trees for cells that stay on a Dask cluster: what leaves it are trees, sums, and the cells of the cut points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu import ops
from smash_gpu.additive import Additive
from smash_gpu.arrays import namespace, to_host
from smash_gpu.attribution import treeshap
from smash_gpu.blocks import delayed_parts, fold, stream
from smash_gpu.dataset import LEFT_OUT, Dataset
from smash_gpu.distributed import active_client, boosting, is_dask
from smash_gpu.splits import Split, by_block, draw
from smash_gpu.stats import standardize


@dataclass(frozen=True)
class _Sums(Additive):
    """Sum of ``z`` over the training cells (groups × genes), and how many held-out cells are predicted right (1)."""

    z: Any
    right: Any


def can_stay(data: Dataset, model: Any) -> bool:
    """Whether the cells can stay on the workers: a Dask array, an active client, XGBoost's histograms, one batch."""
    is_one_batch = data.batch is None or len(set(data.batch[data.cells])) == 1
    if not (is_dask(data.matrix) and is_one_batch and active_client()):
        return False
    from smash_gpu.models.boosted import Boosted

    return isinstance(model, Boosted) and model.in_parts


def boost(data: Dataset, genes: np.ndarray, order: np.ndarray, model: Any, split: Split) -> tuple[np.ndarray, float]:
    """Fit a `models.boosted.Boosted` on the workers; its scores (groups × genes) and its accuracy on held-out cells.

    The same as ``model.fit``, ``importance`` and ``predict`` on the expression of the numbered genes, of which no more
    than one block of rows (`splits.block_cuts`) comes to the client.

    Parameters
    ----------
    order, split
        Which of ``data.cells`` each row is, and the rows to learn from and to hold out.
    """
    cells, y = data.cells[order], data.labels[order]
    weight = model.weight(y[split.train])
    first = by_block(split.train, (len(cells), len(genes)))[0]
    X = _gathered(data, genes, cells[first])
    cuts = boosting.cut_points(
        X, y[first], None if weight is None else weight[: len(first)], model.params["max_bin"]
    )
    group = _of_cells(data, cells[split.train], y[split.train], LEFT_OUT)
    weight = None if weight is None else _of_cells(data, cells[split.train], weight, 0.0)[group >= 0]
    params = model.params | {"num_class": data.n_groups}
    blocks = _bins(data, genes, group, cuts)
    model.n_groups = data.n_groups
    model.booster = boosting.train(
        blocks, group[group >= 0], weight, cuts, params, model.n_estimators, active_client()
    )
    held_out = _of_cells(data, cells[split.test], y[split.test], LEFT_OUT)
    sums = _sums(data, genes, group, held_out, model)
    return _scores(data, genes, model, sums, cells, y, split), float(sums.right[0] / len(split.test))


def _gathered(data: Dataset, genes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return to_host(data.only_cells(cells).expression(genes))
