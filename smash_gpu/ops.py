"""Arithmetic on one block of cells: a canonical CSR matrix, cells × all genes, on host or device.

``target_sum`` says what the stored values are. A number: raw counts, and the expression of a gene is
``e = log1p(target_sum · x / Σ_g x)``. ``None``: the values are ``e`` already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.arrays import namespace


def row_of_each_value(block: Any) -> Any:
    """The row number of every stored value of a CSR block; int64, length nnz."""
    xp = namespace(block)
    starts = xp.bincount(block.indptr[1:-1].astype(xp.int64), minlength=block.nnz + 1)
    return xp.cumsum(starts[: block.nnz])


def labelled(block: Any, group: np.ndarray) -> Any:
    """The cells of a block whose group is not negative; the block itself where that is all of them."""
    chosen = np.flatnonzero(group >= 0)
    return block if len(chosen) == block.shape[0] else block[namespace(block).asarray(chosen)]


def log_normalized(block: Any, row: Any, target_sum: float | None) -> Any:
    """Expression ``e`` of every stored value, whose rows are ``row``; float64, length nnz."""
    xp = namespace(block)
    values = block.data.astype(xp.float64)
    if target_sum is None:
        return values
    library_size = xp.bincount(row, weights=values, minlength=block.shape[0])
    return xp.log1p(values * (target_sum / xp.maximum(library_size, 1e-300))[row])


def group_stats(block: Any, group: Any, n_groups: int, target_sum: float | None) -> tuple[Any, ...]:
    """Sums per group and gene over one block; cells whose group is negative are left out.

    Returns
    -------
    cells (groups), int64; detected (groups × genes), int64: values above zero;
    counts, total and square (groups × genes), float64: sums of the stored values, of ``e`` and of ``e²``.
    """
    xp = namespace(block)
    n_genes = block.shape[1]
    group = xp.asarray(group)
    row = row_of_each_value(block)
    table_row = xp.where(group >= 0, group, n_groups).astype(xp.int64)  # cells left out fill a row that is cut off
    place = table_row[row] * n_genes + block.indices
    expression = log_normalized(block, row, target_sum)

    def table(values: Any) -> Any:
        flat = xp.bincount(place, weights=values, minlength=(n_groups + 1) * n_genes)
        return flat[: n_groups * n_genes].reshape(n_groups, n_genes)

    detected = table((block.data > 0).astype(xp.float64)).astype(xp.int64)
    cells = xp.bincount(table_row, minlength=n_groups + 1)[:n_groups]
    counts = table(block.data.astype(xp.float64))
    return cells, detected, counts, table(expression), table(expression**2)


def gather_dense(block: Any, genes: Any, target_sum: float | None) -> Any:
    """Expression ``e`` of the chosen genes; dense float32, cells × ``len(genes)``."""
    xp = namespace(block)
    column = xp.full(block.shape[1], -1, dtype=xp.int64)
    column[xp.asarray(genes)] = xp.arange(len(genes))
    row, column = row_of_each_value(block), column[block.indices]
    chosen = column >= 0
    dense = xp.zeros((block.shape[0], len(genes)), dtype=xp.float32)
    dense[row[chosen], column[chosen]] = log_normalized(block, row, target_sum)[chosen]
    return dense


def moments(dense: Any) -> tuple[Any, Any]:
    """``Σ x`` (genes) and ``Σ x xᵀ`` (genes × genes) over the cells of a dense block, in float64."""
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
