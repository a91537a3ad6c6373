"""The field's standard: genes by the Wilcoxon rank-sum test of every group against all other cells, groups in turn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from smash_gpu.compute.device import device_room
from smash_gpu.data.dataset import Dataset
from smash_gpu.runtime import memory
from smash_gpu.selection import effects, ranking

SHARE_FOR_EXPRESSION = 0.25  # of the memory that may be used; more genes take another pass


def scores(data: Dataset) -> np.ndarray:
    """The z of every gene as in ``scanpy.tl.rank_genes_groups(method="wilcoxon")``; groups × genes.

    By the normal approximation without a correction for ties, scanpy's default, on expression without batch correction.
    """
    n_cells, n_genes = len(data.cells), len(data.names)
    room = device_room() if data.device == "cuda" else memory.room()
    step = max(1, int(SHARE_FOR_EXPRESSION * room / (4 * n_cells)))
    parts = [np.arange(start, min(start + step, n_genes)) for start in range(0, n_genes, step)]
    auc = np.hstack([effects.auc(data.expression(genes), data.labels, data.n_groups) for genes in parts])
    inside = np.bincount(data.labels)[:, None]
    return (auc - 0.5) * np.sqrt(12 * inside * (n_cells - inside) / (n_cells + 1))


def choose(n_genes: int) -> Callable[[Dataset], np.ndarray]:
    """A function that takes data and returns the numbers of ``n_genes`` genes, chosen by the groups in turn.

    No gene is left out before. The function raises a ValueError if the data have fewer genes.
    """

    def chosen(data: Dataset) -> np.ndarray:
        if n_genes > len(data.names):
            raise ValueError(f"wilcoxon cannot choose {n_genes} genes: the data have {len(data.names)}.")
        turns = ranking.take_turns(scores(data), data.names, n_genes)
        return np.array([gene for _, gene in islice(turns, n_genes)], dtype=int)

    return chosen
