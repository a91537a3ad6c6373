"""Dask arrays: tasks of consecutive blocks, summed as a tree or handed on in order, on whatever scheduler is active.

Without a `distributed` client Dask's own threads do it. A task reads its blocks itself, one after the other, so that
neither the graph nor a worker holds many; what it returns lies in host memory. Which cells make a task, and the order
of every sum, follow from the chunks of the array alone: a worker that dies, or another cluster, changes no result.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from operator import add
from typing import Any

import numpy as np

from smash_gpu.runtime.cluster import active_client, worker_memory

STATES_PER_SUM = 4
TASKS_PER_THREAD = 2  # in flight while results are handed on in order


class Blocks:
    """Consecutive blocks of a Dask array on the machine that computes on them; ``blocks[i]`` is one, in memory."""

    def __init__(self, sources: Sequence[Any], sizes: Sequence[int]) -> None:
        self._sources, self._sizes = sources, sizes

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, number: int) -> Any:
        source = self._sources[number]
        return source() if isinstance(source, _Reading) else source

    @property
    def cuts(self) -> list[slice]:
        """The cells of each block, counted from the first."""
        return [slice(*ends) for ends in pairwise(accumulate(self._sizes, initial=0))]


class _Reading:
    """A block as the part of the graph that reads it."""

    def __init__(self, key: Any, graph: dict) -> None:
        self._key, self._graph = key, graph

    def __call__(self) -> Any:
        from dask import get

        return get(self._graph, self._key)


class _Part:
    """The values of some cells, sent with as few bytes each as all the values need."""

    def __init__(self, values: np.ndarray, dtype: np.dtype, sent_as: np.dtype) -> None:
        self._values, self._dtype = values.astype(sent_as, copy=False), dtype

    def __call__(self) -> np.ndarray:
        return self._values.astype(self._dtype, copy=False)


def total(X: Any, fold: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> Any:
    """The sum of ``fold(Blocks, *parts of per_cell)`` over all of ``X``, as a tree of `STATES_PER_SUM` at a time."""
    from dask import delayed

    states = [state for _, state in tasks(X, fold, per_cell, cells_per_task)]
    while len(states) > 1:
        batches = (states[i : i + STATES_PER_SUM] for i in range(0, len(states), STATES_PER_SUM))
        states = [delayed(_sum)(batch) for batch in batches]
    return states[0].compute()


def in_order(X: Any, step: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> Iterator[Any]:
    """``step(Blocks, *parts of per_cell)`` over ``X`` in order, some tasks ahead of the one that is handed on."""
    from dask import compute
    from dask.system import CPU_COUNT

    steps = [result for _, result in tasks(X, step, per_cell, cells_per_task)]
    client = active_client()
    if client is None:
        for start in range(0, len(steps), CPU_COUNT):
            yield from compute(*steps[start : start + CPU_COUNT])
        return
    waiting: deque = deque()
    for task in steps:
        waiting.append(client.compute(task))
        if len(waiting) >= TASKS_PER_THREAD * max(sum(client.nthreads().values()), 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def tasks(X: Any, function: Callable, per_cell: Sequence[np.ndarray], cells_per_task: int) -> list[tuple[slice, Any]]:
    """The cells of each task, and ``function(Blocks, *parts of per_cell)``, delayed; the graph holds it once."""
    from dask import delayed

    sizes = X.chunks[0]
    batches = _batches(sizes, cells_per_task)
    sources, ends = _sources(X, batches), list(accumulate(sizes, initial=0))
    kinds = [_as_sent(values) for values in per_cell]
    shipped = delayed(_Shipped(function), pure=False)

    def task(batch: list[int]) -> tuple[slice, Any]:
        cells = slice(ends[batch[0]], ends[batch[-1] + 1])
        parts = [_Part(v[cells], v.dtype, kind) for v, kind in zip(per_cell, kinds, strict=True)]
        return cells, delayed(_call)(shipped, [sources[i] for i in batch], [sizes[i] for i in batch], parts)

    return [task(batch) for batch in batches]


class _Shipped:
    """A function as data: Dask would copy a bare one into every task."""

    def __init__(self, function: Callable) -> None:
        self.function = function


def _call(shipped: _Shipped, sources: list, sizes: list[int], parts: list[_Part]) -> Any:
    with worker_memory():
        return shipped.function(Blocks(sources, sizes), *(part() for part in parts))


def _sum(states: list) -> Any:
    return reduce(add, states)


def _batches(sizes: Sequence[int], cells_per_task: int) -> list[list[int]]:
    """Numbers of consecutive blocks, at least one and otherwise at most ``cells_per_task`` cells; empty blocks no."""
    batches, cells = [], cells_per_task
    for number, size in enumerate(sizes):
        if cells + size > cells_per_task:
            batches.append([])
            cells = 0
        batches[-1].append(number)
        cells += size
    return batches


def _sources(X: Any, batches: list[list[int]]) -> list[Any]:
    """What a task reads each block from: the graph itself where no two tasks share a part of it, else a dependency.

    A shared part (a matrix in memory, a shuffle) must not be computed by every task, and what a cluster holds already
    (``persist``) not at all.
    """
    from dask import optimize
    from dask.core import flatten, get_dependencies
    from dask.delayed import Delayed

    graph, keys = dict(X.dask), list(flatten(X.__dask_keys__()))
    is_held = any(map(_is_future, graph.values()))
    if not is_held:
        (optimized,) = optimize(X)
        graph, keys = dict(optimized.dask), list(flatten(optimized.__dask_keys__()))
    below = {key: get_dependencies(graph, key) for key in graph}
    parts = [_reachable(below, key) for key in keys]
    users = Counter(key for batch in batches for key in set().union(*(parts[i] for i in batch)))
    source = Delayed if is_held or max(users.values()) > 1 else _Reading
    return [source(key, {k: graph[k] for k in part}) for part, key in zip(parts, keys, strict=True)]


def _reachable(below: dict, key: Any) -> set:
    found, new = set(), [key]
    while new:
        at = new.pop()
        if at not in found:
            found.add(at)
            new += below[at]
    return found


def _is_future(task: Any) -> bool:
    return type(task).__module__.partition(".")[0] == "distributed"


def _as_sent(values: np.ndarray) -> np.dtype:
    if values.dtype.kind not in "iu" or not len(values):
        return values.dtype
    return np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
