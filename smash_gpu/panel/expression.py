"""Expression levels of the genes over all cells, in the units in which platforms state their limits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import namespace
from smash_gpu.data.dataset import Dataset
from smash_gpu.panel.platforms import PER_MILLION, Q99

ONE_IN = 100  # cells above the 99 % quantile
PER = 1e4  # counts
STEP = 0.05  # the quantile is rounded down to multiples of it
BINS = int(np.log1p(PER) / STEP) + 1


@dataclass(frozen=True)
class _Histogram(Additive):
    """Cells, and those of each gene (rows) whose level lies in each bin; zeros are not counted."""

    cells: Any
    counted: Any


def with_levels(var: pd.DataFrame, data: Dataset, wanted: Collection[str]) -> pd.DataFrame:
    """``var`` with the columns ``expression_q99`` and ``counts_per_million`` that are wanted and not there yet.

    A matrix of logarithms has no such columns; `Known.why_no_counts` says why.
    """
    computed = {Q99: expression_q99, PER_MILLION: counts_per_million}
    missing = [name for name in computed if name in wanted and name not in var]
    if not missing:
        return var
    if data.known.why_no_counts:
        return var
    found = {name: computed[name](data) for name in missing}  # which checks the values, too
    return var if data.known.why_no_counts else var.assign(**found)


def expression_q99(data: Dataset) -> np.ndarray:
    """The largest multiple of `STEP` that log1p(counts per 10,000) reaches in at least 1 % of the cells; genes.

    One pass over the cells that belong to a class.
    """
    n_genes = len(data.names)
    edges = np.expm1(STEP * np.arange(BINS))

    def step(block: Any, group: np.ndarray) -> _Histogram:
        block = ops.labelled(block, group)
        xp = namespace(block)
        cell = xp.searchsorted(block.indptr, xp.arange(len(block.data)), side="right") - 1
        level = block.data.astype(np.float64) * PER / xp.maximum(ops.library_sizes(block), 1e-300)[cell]
        place = block.indices.astype(np.int64) * BINS + xp.searchsorted(xp.asarray(edges), level, side="right") - 1
        counted = xp.bincount(place[block.data > 0], minlength=n_genes * BINS)
        return _Histogram(xp.full(1, block.shape[0]), counted.reshape(n_genes, BINS))

    found = data.known.fold(data.matrix, step, data.group, device=data.device).to_host()
    at_least = found.counted[:, ::-1].cumsum(axis=1)[:, ::-1]  # cells in this bin or a higher one
    reached = (ONE_IN * at_least >= max(1, found.cells[0])) & (at_least > 0)
    return STEP * np.maximum(reached.sum(axis=1) - 1, 0)


def counts_per_million(data: Dataset) -> np.ndarray:
    """Counts of each gene per million counts, all cells that belong to a class together."""
    counts = data.stats.pooled.counts[0]
    return counts * (1e6 / max(counts.sum(), 1e-300))
