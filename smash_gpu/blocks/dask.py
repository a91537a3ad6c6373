"""Dask arrays: tasks of consecutive chunks, summed as a tree or returned in order, on the scheduler that is active.

Without a `distributed` client Dask's own threads compute. A task gets its chunks in memory; what it returns lies in
host memory. Which cells make a task, and the order of every sum, follow from the chunks of the array alone: neither
the number of workers nor the loss of one changes a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import accumulate
from operator import add
from typing import Any

import numpy as np

from smash_gpu.runtime.cluster import active_client, worker_memory

STATES_PER_SUM = 4
TASKS_PER_THREAD = 2  # computed ahead of the one that is returned next


def total(X: Any, fold: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> Any:
    """The sum of ``fold(chunks, *parts of per_cell)`` over all of ``X``, as a tree of `STATES_PER_SUM` at a time."""
    from dask import delayed

    states = [state for _, state in tasks(X, fold, per_cell, cells_per_task)]
    while len(states) > 1:
        states = [delayed(_sum)(states[i : i + STATES_PER_SUM]) for i in range(0, len(states), STATES_PER_SUM)]
    return states[0].compute()


def in_order(X: Any, step: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> Iterator[Any]:
    """``step(chunks, *parts of per_cell)`` over ``X`` in order, with a bounded number of tasks ahead."""
    from dask import compute
    from dask.system import CPU_COUNT

    steps = [result for _, result in tasks(X, step, per_cell, cells_per_task)]
    client = active_client()
    if client is None:
        for start in range(0, len(steps), CPU_COUNT):
            yield from compute(*steps[start : start + CPU_COUNT])
        return
    ahead: deque = deque()
    for task in steps:
        ahead.append(client.compute(task))
        if len(ahead) >= TASKS_PER_THREAD * max(sum(client.nthreads().values()), 1):
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def tasks(X: Any, function: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> list[tuple[slice, Any]]:
    """The cells of each task, and ``function(chunks, *parts of per_cell)``, delayed."""
    from dask import delayed

    chunks, ends = X.to_delayed().ravel(), list(accumulate(X.chunks[0], initial=0))
    narrow = [_narrow(values) for values in per_cell]
    run = delayed(_Run(function, [values.dtype for values in per_cell]), pure=False)  # in the graph once

    def task(batch: slice) -> tuple[slice, Any]:
        cells = slice(ends[batch.start], ends[batch.stop])
        return cells, delayed(_call)(run, list(chunks[batch]), [values[cells] for values in narrow])

    return [task(batch) for batch in _batches(X.chunks[0], cells_per_task)]


class _Run:
    """A function with the types of its arguments per cell, as data: Dask would copy a bare one into every task."""

    def __init__(self, function: Callable, dtypes: list[np.dtype]) -> None:
        self.function, self.dtypes = function, dtypes


def _call(run: _Run, chunks: list, parts: list[np.ndarray]) -> Any:
    with worker_memory():
        return run.function(chunks, *(p.astype(kind, copy=False) for p, kind in zip(parts, run.dtypes, strict=True)))


def _sum(states: list) -> Any:
    return reduce(add, states)


def _batches(sizes: Sequence[int], cells_per_task: int) -> list[slice]:
    """Numbers of consecutive chunks: at least one that is not empty, and otherwise at most ``cells_per_task`` cells."""
    starts, cells = [0], 0
    for number, size in enumerate(sizes):
        if cells and cells + size > cells_per_task:
            starts.append(number)
            cells = 0
        cells += size
    return [slice(*ends) for ends in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def _narrow(values: np.ndarray) -> np.ndarray:
    """Integers in as few bytes as all of them need, for the way to the workers."""
    if values.dtype.kind not in "iu" or not len(values):
        return values
    return values.astype(np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max())))
