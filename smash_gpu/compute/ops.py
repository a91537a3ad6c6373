"""Arithmetic on one block of cells: a canonical CSR matrix, cells × all genes, on host or device.

``target_sum`` says what the stored values are. A number: raw counts, and the expression of a gene is
``e = log1p(target_sum · x / Σ_g x)``. ``None``: the values are ``e`` already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from smash_gpu.compute import cuda
from smash_gpu.compute.xp import namespace, on_gpu


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
    cells = np.bincount(group[group >= 0], minlength=n_groups)
    by_group = block[np.argsort(group, kind="stable")[len(group) - cells.sum() :]]
    first_of_group = by_group.indptr[np.append(0, np.cumsum(cells))]

    def table(values: np.ndarray) -> np.ndarray:
        """The values of a group as one row, in which equal columns add up."""
        parts = values, by_group.indices, first_of_group
        return sparse.csr_matrix(parts, shape=(n_groups, block.shape[1])).toarray()

    detected = table((by_group.data > 0).astype(np.int32)).astype(np.int64)
    counts = table(by_group.data.astype(np.float64))
    expression = _log_normalized(by_group, target_sum, _library_size(by_group))
    total = counts.copy() if target_sum is None else table(expression)
    return cells, detected, counts, total, table(np.square(expression, out=expression))


def gather_dense(block: Any, genes: Any, target_sum: float | None, *, ceiling: np.ndarray | None = None) -> Any:
    """Expression ``e`` of the chosen genes, cut to one ceiling per gene; dense float32, cells × ``len(genes)``."""
    if on_gpu(block):
        return cuda.gather_dense(block, genes, target_sum, ceiling=ceiling)
    chosen = block[:, genes]
    chosen.data = _log_normalized(chosen, target_sum, _library_size(block)).astype(np.float32)
    dense = chosen.toarray()
    return dense if ceiling is None else np.minimum(dense, ceiling.astype(np.float32), out=dense)


def _library_size(block: Any) -> np.ndarray:
    return np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()


def _log_normalized(block: Any, target_sum: float | None, library_size: np.ndarray) -> np.ndarray:
    """``e`` of every stored value, float64, in memory of its own."""
    values = block.data.astype(np.float64)
    if target_sum is None:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):  # of what `value_checks` counts
        values *= np.repeat(target_sum / np.maximum(library_size, 1e-300), np.diff(block.indptr))
        return np.log1p(values, out=values)


def moments(dense: Any) -> tuple[Any, Any]:
    """``Σ x`` (genes) and ``Σ x xᵀ`` (genes × genes) over the cells of a dense block, in float64.

    A dense product on either device: see ``kernels/README.md`` for why there is no kernel for it.
    """
    x = dense.astype(np.float64)
    return x.sum(axis=0), x.T @ x


def value_checks(block: Any, large: float) -> tuple[Any, ...]:
    """How many stored values are non-zero, not finite, negative, fractional, and above ``large``."""
    xp = namespace(block)
    x = block.data
    if not on_gpu(block) and len(x) and x.min() > 0 and x.max() < np.inf:  # as counts are, at a third of the cost
        return len(x), 0, 0, np.count_nonzero(x != np.rint(x)), np.count_nonzero(x > large)
    finite = xp.isfinite(x)
    whole = x if finite.all() else xp.where(finite, x, 0)  # synchronises
    found = (x != 0, ~finite, whole < 0, whole != xp.floor(whole), whole > large)
    return tuple(xp.count_nonzero(f) for f in found)
