"""Arithmetic on one block of cells: a canonical CSR matrix, cells × all genes, on host or device.

``target_sum`` says what the stored values are. A number: raw counts, and the expression of a gene is
``e = log1p(target_sum · x / Σ_g x)``. ``None``: the values are ``e`` already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu import cuda
from smash_gpu.arrays import namespace, on_gpu


def labelled(block: Any, group: np.ndarray) -> Any:
    """The cells of a block whose group is not negative; the block itself where that is all of them."""
    chosen = np.flatnonzero(group >= 0)
    return block if len(chosen) == block.shape[0] else block[namespace(block).asarray(chosen)]


def group_stats(block: Any, group: Any, n_groups: int, target_sum: float | None) -> tuple[Any, ...]:
    """Sums per group and gene over one block; cells whose group is negative are left out.

    Returns
    -------
    cells (groups), int64; detected (groups × genes), int64: values above zero;
    counts, total and square (groups × genes), float64: sums of the stored values, of ``e`` and of ``e²``.
    """
    if on_gpu(block):
        return cuda.group_stats(block, group, n_groups, target_sum)
    n_genes = block.shape[1]
    row = _row_of_each_value(block)
    table_row = np.where(group >= 0, group, n_groups)  # cells left out fill a row that is cut off
    place = table_row[row] * n_genes + block.indices
    expression = _log_normalized(block, row, target_sum)

    def table(values: np.ndarray) -> np.ndarray:
        flat = np.bincount(place, weights=values, minlength=(n_groups + 1) * n_genes)
        return flat[: n_groups * n_genes].reshape(n_groups, n_genes)

    detected = table(block.data > 0).astype(np.int64)
    cells = np.bincount(table_row, minlength=n_groups + 1)[:n_groups]
    return cells, detected, table(block.data), table(expression), table(expression**2)


def gather_dense(block: Any, genes: Any, target_sum: float | None, *, ceiling: np.ndarray | None = None) -> Any:
    """Expression ``e`` of the chosen genes, cut to one ceiling a gene; dense float32, cells × ``len(genes)``."""
    if on_gpu(block):
        return cuda.gather_dense(block, genes, target_sum, ceiling=ceiling)
    column = np.full(block.shape[1], -1)
    column[genes] = np.arange(len(genes))
    row, column = _row_of_each_value(block), column[block.indices]
    chosen = column >= 0
    dense = np.zeros((block.shape[0], len(genes)), dtype=np.float32)
    dense[row[chosen], column[chosen]] = _log_normalized(block, row, target_sum)[chosen]
    return dense if ceiling is None else np.minimum(dense, ceiling.astype(np.float32), out=dense)


def _row_of_each_value(block: Any) -> np.ndarray:
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))


def _log_normalized(block: Any, row: np.ndarray, target_sum: float | None) -> np.ndarray:
    values = block.data.astype(np.float64)
    if target_sum is None:
        return values
    library_size = np.bincount(row, weights=values, minlength=block.shape[0])
    return np.log1p(values * (target_sum / np.maximum(library_size, 1e-300))[row])


def moments(dense: Any) -> tuple[Any, Any]:
    """``Σ x`` (genes) and ``Σ x xᵀ`` (genes × genes) over the cells of a dense block, in float64.

    A dense product on either device: see ``kernels/README.md`` for why no kernel of our own takes its place.
    """
    x = dense.astype(np.float64)
    return x.sum(axis=0), x.T @ x


def value_checks(block: Any, large: float) -> tuple[Any, ...]:
    """How many stored values are non-zero, not finite, negative, fractional, and above ``large``."""
    xp = namespace(block)
    x = block.data
    finite = xp.isfinite(x)
    whole = xp.where(finite, x, 0)
    found = (x != 0, ~finite, whole < 0, whole != xp.floor(whole), whole > large)
    return tuple(xp.count_nonzero(f) for f in found)
