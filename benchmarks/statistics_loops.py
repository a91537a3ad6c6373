"""Sums per group over a file: compiled loops against NumPy, and against only reading the file.

Three things in turns, in one process, on the same file of synthetic cells (`atlas_data`): reading every block as the
pass does, the sums per class by Numba's loops, and the same by NumPy. ``values`` of the line are those stored in the
file; ``share_of_reading`` is the speed of the compiled pass, which reads too, as a share of that of reading alone.
Beside it the sums alone, of one block in memory: ``in_memory``. The tables are compared: integers equal, sums to 10⁻¹².
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import atlas_data, record
from smash_gpu.blocks.fold import stream
from smash_gpu.compute import loops, ops
from smash_gpu.data.stats import group_stats

WAYS = ("reading", "compiled", "numpy")


def main(arguments: list[str]) -> None:
    """Measure, print, and append one line for the file and one for a block in memory."""
    options = record.parser("statistics_loops")
    options.add_argument("--cells", type=int, default=100_000)
    options.add_argument("--folder", type=Path, default=Path("atlas-data"), help="where the synthetic file is kept")
    options.add_argument("--repeats", type=int, default=3)
    options = options.parse_args(arguments)
    path = options.folder / f"{options.cells}.h5ad"
    if not path.exists():
        options.folder.mkdir(parents=True, exist_ok=True)
        atlas_data.write(path, options.cells, seed=0)
    for row in (of_file(path, options.repeats), in_memory(path, options.repeats)):
        record.write(options.json, [row | {"benchmark": "statistics_loops", "cells": options.cells}])
        print(row, flush=True)


def of_file(path: Path, repeats: int) -> dict[str, Any]:
    """Wall and processor seconds of a pass over the file by each way."""
    X, group = _opened(path)
    n_groups = int(group.max()) + 1
    found: dict[str, Any] = {}

    def summed(name: str) -> None:
        with _loops(name):
            found[name] = group_stats(X, group, n_groups)

    def sizes() -> list[int]:
        return [block.nnz for (block,) in stream(X)]

    ways: dict[str, Callable[[], Any]] = {"reading": sizes}
    ways |= {name: partial(summed, name) for name in WAYS[1:]}
    row: dict[str, Any] = {"what": "file", "values": sum(sizes())}
    row |= _times(ways, repeats)
    row["share_of_reading"] = row["reading_s"] / row["compiled_s"]
    return row | _equal(*(vars(found[name]).values() for name in WAYS[1:]))


def in_memory(path: Path, repeats: int) -> dict[str, Any]:
    """The same of the first block, without reading."""
    X, group = _opened(path)
    block, part = next(stream(X, group))
    n_groups = int(group.max()) + 1
    found: dict[str, Any] = {}

    def summed(name: str) -> None:
        with _loops(name), loops.part_of(X.shape[0]):
            found[name] = ops.group_stats(block, part, n_groups, 1e4)

    row: dict[str, Any] = {"what": "block in memory", "values": block.nnz}
    row |= _times({name: partial(summed, name) for name in WAYS[1:]}, repeats)
    row["times_numpy"] = row["numpy_s"] / row["compiled_s"]
    return row | _equal(*(found[name] for name in WAYS[1:]))


def _opened(path: Path) -> tuple[Any, np.ndarray]:
    from smash_gpu.io.lazy import matrix_of
    from smash_gpu.io.open import open_file

    adata = open_file(path, lazily=True)
    codes = adata.obs["cell_type"].astype("category").cat.codes.to_numpy()
    return matrix_of(adata, None), codes.astype(np.int64)


@contextmanager
def _loops(name: str) -> Iterator[None]:
    fewest, loops.FEWEST_VALUES = loops.FEWEST_VALUES, 0 if name == "compiled" else 2**62
    try:
        yield
    finally:
        loops.FEWEST_VALUES = fewest


def _times(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each way, in turns, after one run of each."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, run in ways.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            if turn:
                wall[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - used)
    found = {f"{name}_s": statistics.median(seconds) for name, seconds in wall.items()}
    return found | {f"{name}_processor_s": statistics.median(seconds) for name, seconds in busy.items()}


def _equal(one: Any, two: Any) -> dict[str, Any]:
    integers, largest = True, 0.0
    for a, b in zip(one, two, strict=True):
        if a.dtype.kind in "iu":
            integers &= bool((a == b).all())
        else:
            largest = max(largest, float((np.abs(a - b) / np.maximum(np.abs(b), 1e-300)).max()))
    return {"integers_equal": integers, "largest_relative_difference": largest}
