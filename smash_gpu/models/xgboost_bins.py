"""Expression as bin numbers, which XGBoost computes block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from xgboost import DataIter, DMatrix, ExtMemQuantileDMatrix, QuantileDMatrix

from smash_gpu.compute.xp import place, take
from smash_gpu.data.shuffle import by_block


def binned(
    X: Any,
    cells: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    *,
    device: str,
    max_bin: int,
    files: str | None,
    like: DMatrix | None = None,
) -> DMatrix:
    """The numbered cells as bin numbers, in memory or in files whose names begin with ``files``.

    Bin edges are those of ``like``, or are computed from the first block, a uniform random sample. Otherwise XGBoost's
    edges would depend on the number of blocks, or on which workers hold them.
    """
    batches = partial(Batches, X, y=y, weight=weight, device=device)
    blocks = by_block(cells, X.shape)
    if like is None and len(blocks) > 1:
        like = QuantileDMatrix(batches(blocks[:1]), max_bin=max_bin)
    how: dict[str, Any] = {"max_bin": max_bin, "ref": like}
    if files is None:
        return QuantileDMatrix(batches(blocks), **how)
    return ExtMemQuantileDMatrix(batches(blocks, cache_prefix=files), **how)


class Batches(DataIter):
    """The training cells of a dense matrix, one block at a time, so that they are never all copied."""

    def __init__(
        self,
        X: Any,
        blocks: list[np.ndarray],
        *,
        y: np.ndarray,
        device: str,
        weight: np.ndarray | None,
        cache_prefix: str | None = None,
    ) -> None:
        super().__init__(cache_prefix, on_host=device == "cuda")
        self.X, self.blocks, self.y, self.weight, self.device = X, blocks, y, weight, device
        self.number, self.start = 0, 0  # of the next block, and of its first cell among the training cells

    def next(self, input_data: Callable) -> bool:
        """Pass the next block to XGBoost; False at the end."""
        if self.number == len(self.blocks):
            return False
        cells = self.blocks[self.number]
        part = slice(self.start, self.start + len(cells))
        weight = None if self.weight is None else self.weight[part]
        input_data(data=place(take(self.X, cells), self.device), label=self.y[part], weight=weight)
        self.number, self.start = self.number + 1, part.stop
        return True

    def reset(self) -> None:
        """Start from the first block."""
        self.number, self.start = 0, 0
