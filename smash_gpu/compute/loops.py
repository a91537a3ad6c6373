"""Loops over the stored values of a CSR block on the host, compiled by Numba; `ops` has the same in NumPy.

The order of every sum is that of the cells, whatever the number of threads: each thread has genes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from smash_gpu.compute.cores import cores

FEWEST_VALUES = 2**25  # of a pass; below that Numba and its compiled loops take longer to load than they save
WIDEST = 8  # bytes of a number that Numba takes, which are not those of np.longdouble
MOST_THREADS = 8
COMMON_COUNTS = 64  # the logarithms of smaller counts are computed once per cell


_cells_of_pass: ContextVar[int] = ContextVar("cells of the pass", default=0)


@contextmanager
def part_of(n_cells: int) -> Iterator[None]:
    """The blocks inside are parts of a pass over so many cells."""
    before = _cells_of_pass.set(n_cells)
    try:
        yield
    finally:
        _cells_of_pass.reset(before)


def pay_off(block: Any) -> bool:
    """Whether a pass over as many values per cell as the block has is long enough, and Numba is there and knows them.

    Nothing but the data decides: the last bits of two passes over the same cells are equal.
    """
    n_values = block.nnz * max(1, _cells_of_pass.get() / max(block.shape[0], 1))
    return n_values >= FEWEST_VALUES and block.dtype.itemsize <= WIDEST and find_spec("numba") is not None


def group_stats(block: Any, group: np.ndarray, n_groups: int, scale: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """`ops.group_stats` without the numbers of cells; ``scale`` is ``target_sum`` / library size, None for logarithms.

    Cells are read group by group, so that the sums of one group stay in the cache.
    """
    order = np.argsort(group, kind="stable")[np.count_nonzero(group < 0) :]
    shape = n_groups, block.shape[1]
    sums = np.zeros(shape, np.int64), *(np.zeros(shape) for _ in range(3))
    csr, scaling = (block.indptr, block.indices, block.data), _scaling(block, scale)

    def of_genes(first: int, last: int) -> None:
        _compiled(_sum_by_group)(csr, scaling, (order, group), (first, last), sums)

    _by_thread(of_genes, block.shape[1])
    return sums


def gather_dense(block: Any, genes: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """`ops.gather_dense` without a ceiling."""
    dense = np.zeros((block.shape[0], len(genes)), dtype=np.float32)
    place = np.full(block.shape[1], -1, dtype=np.int64)
    place[genes] = np.arange(len(genes))
    csr, scaling = (block.indptr, block.indices, block.data), _scaling(block, scale)

    def of_cells(first: int, last: int) -> None:
        _compiled(_gather)(csr, scaling, (first, last), place, dense)

    _by_thread(of_cells, block.shape[0])
    return dense


def numbers(block: Any, large: float) -> np.ndarray:
    """The ``numbers`` of `ops.value_checks`."""
    found = np.zeros((5, block.shape[0]), dtype=np.int32)
    _compiled(_count_kinds)(block.indptr, block.data, large, found)
    return found


def _scaling(block: Any, scale: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """The scale of each cell, and whether the values are logarithms, which need none."""
    return (np.ones(block.shape[0]), True) if scale is None else (scale, False)


def _by_thread(function: Callable[[int, int], None], n: int) -> None:
    """``function(first, last)`` for equal parts of ``n``, one for each thread."""
    n_threads = max(1, min(cores(), MOST_THREADS, n))
    ends = np.linspace(0, n, n_threads + 1).astype(np.int64)
    if n_threads == 1:
        function(0, n)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(function, ends[:-1], ends[1:]))


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """A loop, compiled once per type of its arguments and kept on disk where that is possible."""
    from numba import njit

    compiled = partial(njit, nogil=True, error_model="numpy")
    try:
        return compiled(cache=True)(loop)
    except RuntimeError:  # no folder that Numba may write to
        return compiled()(loop)


# What Numba compiles: tuples of arrays and numbers, no keywords.


def _sum_by_group(csr, scaling, cells, genes, sums):  # type: ignore[no-untyped-def]
    (indptr, indices, data), (scale, is_log), (order, group), (first, last) = csr, scaling, cells, genes
    detected, counts, total, square = sums
    known = np.empty(COMMON_COUNTS)
    every = first == 0 and last == counts.shape[1]
    for i in order:
        c, n_known = group[i], 0
        start, stop = indptr[i], indptr[i + 1]
        if not every:
            columns = indices[start:stop]
            stop = start + np.searchsorted(columns, last)
            start = start + np.searchsorted(columns, first)
        for k in range(start, stop):
            j, x = indices[k], data[k]
            count = np.int64(x)
            if is_log:
                e = np.float64(x)
            elif count == x and 0 <= count < COMMON_COUNTS:
                while n_known <= count:
                    known[n_known] = np.log1p(n_known * scale[i])
                    n_known += 1
                e = known[count]
            else:
                e = np.log1p(x * scale[i])
            detected[c, j] += x > 0
            counts[c, j] += x
            total[c, j] += e
            square[c, j] += e * e


def _gather(csr, scaling, cells, place, dense):  # type: ignore[no-untyped-def]
    (indptr, indices, data), (scale, is_log), (first, last) = csr, scaling, cells
    known = np.empty(COMMON_COUNTS)
    for i in range(first, last):
        n_known = 0
        for k in range(indptr[i], indptr[i + 1]):
            to = place[indices[k]]
            if to < 0:
                continue
            x = data[k]
            count = np.int64(x)
            if is_log:
                e = np.float64(x)
            elif count == x and 0 <= count < COMMON_COUNTS:
                while n_known <= count:
                    known[n_known] = np.log1p(n_known * scale[i])
                    n_known += 1
                e = known[count]
            else:
                e = np.log1p(x * scale[i])
            dense[i, to] = e


def _count_kinds(indptr, data, large, found):  # type: ignore[no-untyped-def]
    for i in range(len(indptr) - 1):
        nonzero = not_finite = negative = fractional = above = 0
        for k in range(indptr[i], indptr[i + 1]):
            x = data[k]
            finite = np.isfinite(x)
            nonzero += x != 0
            not_finite += not finite
            negative += x < 0
            fractional += finite and x != np.rint(x)
            above += x > large
        found[0, i], found[1, i], found[2, i], found[3, i], found[4, i] = (
            nonzero,
            not_finite,
            negative,
            fractional,
            above,
        )
