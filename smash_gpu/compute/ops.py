"""Arithmetic on one block of cells: a canonical CSR matrix, cells × all genes, on host or device.

``target_sum`` says what the stored values are. A number: raw counts, and the expression of a gene is
``e = log1p(target_sum · x / Σ_g x)``. ``None``: the values are ``e`` already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from smash_gpu.compute import cuda, loops
from smash_gpu.compute.xp import namespace, on_gpu

LARGEST_EXACT = 2**24  # sums of counts in float32
WINDOWS = 4  # of a block, in which cells are summed by `value_checks`
VALUES_PER_WINDOW = 2**14
CELLS_PER_WINDOW = 4  # at least, on average


def labelled(block: Any, group: np.ndarray) -> Any:
    """The cells of a block whose group is not negative; the block itself where that is all of them."""
    chosen = np.flatnonzero(group >= 0)
    return block if len(chosen) == block.shape[0] else block[namespace(block).asarray(chosen)]


def library_sizes(block: Any) -> Any:
    """The sum of the counts of each cell, float64."""
    if on_gpu(block):
        return cuda.library_sizes(block)
    sizes = np.asarray(block.sum(axis=1), dtype=np.float64).ravel()  # in the precision of the values, ten times as fast
    if (sizes == np.rint(sizes)).all() and sizes.max(initial=0) < LARGEST_EXACT:
        return sizes
    filled = np.flatnonzero(np.diff(block.indptr))
    sizes[filled] = np.add.reduceat(block.data, block.indptr[filled], dtype=np.float64)
    return sizes


def cells_by_group(block: Any, group: Any, n_groups: int) -> tuple[Any, Any]:
    """The numbers of the cells of a block sorted by group, and where in them each group starts and the last one ends.

    Cells whose group is negative are left out. A device has room for them too, at the end, and its order within a group
    differs between runs.
    """
    if on_gpu(block):
        return cuda.cells_by_group(block, group, n_groups)
    start = np.append(0, np.cumsum(np.bincount(group[group >= 0], minlength=n_groups)))
    return np.argsort(group, kind="stable")[len(group) - start[-1] :], start


def group_stats(
    block: Any, group: Any, n_groups: int, target_sum: float | None, *, library_size: Any = None
) -> tuple[Any, ...]:
    """Sums per group and gene over one block; cells whose group is negative are left out.

    Parameters
    ----------
    library_size
        What `library_sizes` returns, if it is known already.

    Returns
    -------
    cells (groups), int64; detected (groups × genes), int64: values above zero;
    counts, total and square (groups × genes), float64: sums of the stored values, of ``e`` and of ``e²``.
    """
    if on_gpu(block):
        return cuda.group_stats(block, group, n_groups, target_sum, library_size=library_size)
    if loops.pay_off(block):
        cells = np.bincount(group[group >= 0], minlength=n_groups)
        return cells, *loops.group_stats(block, group, n_groups, _scale(block, target_sum, library_size))
    order, start = cells_by_group(block, group, n_groups)
    by_group = block[order]
    first_of_group = by_group.indptr[start]

    def table(values: np.ndarray) -> np.ndarray:
        """The values of a group as one row, in which equal columns add up."""
        parts = values, by_group.indices, first_of_group
        return sparse.csr_matrix(parts, shape=(n_groups, block.shape[1])).toarray()

    detected = table((by_group.data > 0).astype(np.int32)).astype(np.int64)
    counts = table(by_group.data.astype(np.float64))
    sizes = None if library_size is None else library_size[order]
    expression = _log_normalized(by_group, _scale(by_group, target_sum, sizes))
    total = counts.copy() if target_sum is None else table(expression)
    return np.diff(start), detected, counts, total, table(np.square(expression, out=expression))


def gather_dense(
    block: Any,
    genes: Any,
    target_sum: float | None,
    *,
    ceiling: np.ndarray | None = None,
    library_size: Any = None,
) -> Any:
    """Expression ``e`` of the chosen genes, each once, cut to a ceiling per gene; float32, cells × ``len(genes)``."""
    if on_gpu(block):
        return cuda.gather_dense(block, genes, target_sum, ceiling=ceiling, library_size=library_size)
    if loops.pay_off(block):
        dense = loops.gather_dense(block, genes, _scale(block, target_sum, library_size))
    else:
        chosen = block[:, genes]
        chosen.data = _log_normalized(chosen, _scale(block, target_sum, library_size)).astype(np.float32)
        dense = chosen.toarray()
    return dense if ceiling is None else np.minimum(dense, ceiling.astype(np.float32), out=dense)


def _scale(block: Any, target_sum: float | None, library_size: np.ndarray | None) -> np.ndarray | None:
    """What the counts of each cell are multiplied by; None if the values are logarithms."""
    if target_sum is None:
        return None
    sizes = library_sizes(block) if library_size is None else library_size
    with np.errstate(invalid="ignore"):  # of what `value_checks` counts
        return target_sum / np.maximum(sizes, 1e-300)


def _log_normalized(block: Any, scale: np.ndarray | None) -> np.ndarray:
    """``e`` of every stored value, float64, in memory of its own."""
    values = block.data.astype(np.float64)
    if scale is None:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):  # of what `value_checks` counts
        values *= np.repeat(scale, np.diff(block.indptr))
        return np.log1p(values, out=values)


def moments(dense: Any) -> tuple[Any, Any]:
    """``Σ x`` (genes) and ``Σ x xᵀ`` (genes × genes) over the cells of a dense block, in float64.

    A dense product on either device: see ``kernels/README.md`` for why there is no kernel for it.
    """
    x = dense.astype(np.float64)
    return x.sum(axis=0), x.T @ x


def value_checks(block: Any, large: float) -> tuple[Any, Any]:
    """What the values of each cell look like, without waiting for the device.

    Returns
    -------
    numbers (5 × cells), integers: values that are non-zero, not finite, negative, fractional, and above ``large``;
    sums (2 × cells), float64: Σ x and Σ expm1(min(x, large)), for cells with fractions. On the host they are known for
    some of these, in a few parts of the block (all of a small one), and NaN for others.
    """
    if on_gpu(block):
        return cuda.value_checks(block, large)
    if loops.pay_off(block):
        numbers = loops.numbers(block, large)
        return numbers, _sums_of_some_cells(block, large) if numbers[3].any() else np.full((2, block.shape[0]), np.nan)
    x = block.data
    if len(x) and x.min() > 0 and x.max() < np.inf:  # as counts are, at a third of the cost
        n_values, none = np.diff(block.indptr), np.zeros(block.shape[0], dtype=np.int32)
        fractional = _per_cell(block, x != np.rint(x))
        numbers = np.stack([n_values, none, none, fractional, _per_cell(block, x > large)])
        return numbers, _sums_of_some_cells(block, large) if fractional.any() else np.full((2, len(none)), np.nan)
    masks = (x != 0, ~np.isfinite(x), x < 0, np.isfinite(x) & (x != np.rint(x)), x > large)
    return np.stack([_per_cell(block, mask) for mask in masks]), _sums_of_some_cells(block, large)


def _per_cell(block: Any, mask: np.ndarray) -> np.ndarray:
    """How many values of each cell are in a mask of the stored values."""
    ends = block.indptr
    if not mask.any():
        return np.zeros(block.shape[0], dtype=np.int32)
    found = np.diff(ends)
    filled = np.flatnonzero(found)
    found[filled] = found[filled] if mask.all() else np.add.reduceat(mask, ends[filled], dtype=np.int32)
    return found


def _sums_of_some_cells(block: Any, large: float) -> np.ndarray:
    """Σ x and Σ expm1(min(x, large)) of the cells that lie in one of a few windows of the stored values; else NaN."""
    n_cells, n_values = block.shape[0], len(block.data)
    if not n_values:
        return np.full((2, n_cells), np.nan)
    width = max(VALUES_PER_WINDOW, CELLS_PER_WINDOW * n_values // n_cells)
    n_windows = int(np.clip(n_values // width, 1, WINDOWS))
    apart = n_values // n_windows
    width = apart if n_windows == 1 else width
    windows = block.data[: n_windows * apart].reshape(n_windows, apart)[:, :width].astype(np.float64)
    start, stop = block.indptr[:-1], block.indptr[1:]
    window = np.minimum(start // apart, n_windows - 1)
    start, stop = start - window * apart, stop - window * apart
    is_inside = (stop <= width) & (stop > start)
    first, last = np.where(is_inside, start, 0), np.where(is_inside, stop, 0)

    def sums(values: np.ndarray) -> np.ndarray:
        upto = np.concatenate([np.zeros((n_windows, 1)), np.cumsum(values, axis=1)], axis=1)
        return np.where(is_inside, upto[window, last] - upto[window, first], np.nan)

    with np.errstate(invalid="ignore", over="ignore"):  # of values that are not finite, which are counted
        return np.stack([sums(windows), sums(np.expm1(np.minimum(windows, large)))])
