"""Finds, compiles and launches ``kernels/*.cu``. A launcher has the name of its kernel and of its twin in `ops`.

Everything runs on the current device and its current stream, and nothing waits for it. Preparation is array code in the
namespace of the block: tests replace `launch` and `shared_memory` and run the same launchers without a device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, log1p, log2
from pathlib import Path
from typing import Any

import numpy as np

from smash_gpu.compute.xp import cupy, namespace

_PACKAGE = Path(__file__).parents[1]
SOURCES = next(d for d in (_PACKAGE / "kernels", _PACKAGE.parent / "kernels") if d.is_dir())
OPTIONS = ("-std=c++17",)
C_NAMES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}
NO_ARRAY = np.uint64(0)
INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


def source(kernel: str) -> str:
    """The text of a kernel with its headers in place: CuPy's cache of binaries does not see included files change."""
    return _with_headers(f"{kernel}.cu", set())


def _with_headers(file: str, seen: set[str]) -> str:
    """The text of a file with every header that it includes, each once."""
    seen.add(file)
    text = (SOURCES / file).read_text()
    return INCLUDE.sub(lambda found: "" if found[1] in seen else _with_headers(found[1], seen), text)


@dataclass(frozen=True)
class Shape:
    """Thread blocks, threads in each, and bytes of dynamic shared memory of each."""

    blocks: int
    threads: int
    shared_bytes: int


def launch(kernel: str, types: tuple[str, ...], shape: Shape, arguments: tuple) -> None:
    """Run the instance ``kernel<types>``."""
    function = _function(kernel, types)
    function.max_dynamic_shared_size_bytes = shape.shared_bytes
    function((shape.blocks,), (shape.threads,), arguments, shared_mem=shape.shared_bytes)


@cache
def _function(kernel: str, types: tuple[str, ...]) -> Any:
    name = f"{kernel}<{', '.join(types)}>"
    return cupy.RawModule(code=source(kernel), options=OPTIONS, name_expressions=(name,)).get_function(name)


def shared_memory() -> int:
    """Bytes of shared memory that a thread block may ask for on the current device."""
    return cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"]


def _launch_on(block: Any, kernel: str, shape: Shape, *arguments: Any) -> None:
    if shape.blocks:
        types = tuple(C_NAMES[part.dtype.name] for part in (block.data, block.indices))
        launch(kernel, types, shape, (block.indptr, block.indices, block.data, *arguments))


def _tiles(n: int, most: int) -> tuple[int, int]:
    """The number of equal tiles of at most ``most`` that cover ``n``, and their width."""
    width = max(ceil(n / max(ceil(n / most), 1)), 1)
    return ceil(n / width), width


GROUP_STATS_THREADS = 1024
CELLS_PER_RUN = (32, 1024)  # fewer: more is added to the tables; more: fewer thread blocks
BLOCKS_WANTED = 1024  # some for each of the 132 multiprocessors of an H100
BYTES_PER_WARP = 32 * 8  # a table of logarithms
BYTES_PER_GENE = 3 * 8  # three sums
LARGEST_SUM = 62  # log2; half of what 64 bits with a sign hold
LARGEST_E = 128.0  # of log-normalised input, as in the kernel


def group_stats(block: Any, group: Any, n_groups: int, target_sum: float | None) -> tuple[Any, ...]:
    """`ops.group_stats` in one pass over the non-zeros, the same bit for bit in every run.

    The sums are NaN if a stored value is negative, not finite or at least 2³¹; in log-normalised input
    (``target_sum`` None), if one is not between −128 and 128.
    """
    xp = namespace(block.data)
    n_cells, n_genes = block.shape
    bytes_of_warps = GROUP_STATS_THREADS // 32 * BYTES_PER_WARP
    n_tiles, tile = _tiles(n_genes, (shared_memory() - bytes_of_warps) // BYTES_PER_GENE)
    cells_per_run = int(np.clip(n_cells * n_tiles // BLOCKS_WANTED, *CELLS_PER_RUN))
    order, start = cells_by_group(xp.asarray(group), n_groups)
    cells = start[1:] - start[:-1]
    run_end = xp.cumsum((cells + cells_per_run - 1) // cells_per_run)
    most_runs = n_cells // cells_per_run + min(n_groups, n_cells)
    tables = xp.zeros((5, n_groups, n_genes), dtype=xp.int64)
    out_of_range = xp.zeros(1, dtype=xp.int32)
    scales = fixed_point_scales(n_cells, target_sum)
    shape = Shape(most_runs * n_tiles, GROUP_STATS_THREADS, bytes_of_warps + tile * BYTES_PER_GENE)
    sizes = (np.int32(x) for x in (n_groups, n_genes, tile, cells_per_run))
    numbers = (np.float64(x) for x in (target_sum or 0, *scales))
    _launch_on(block, "group_stats", shape, order, start, run_end, *sizes, *numbers, tables, out_of_range)
    sums = _sums(tables, scales, xp.where(out_of_range > 0, xp.nan, 1.0))
    counts, total, square = (sums[1].copy(), *sums[1:]) if target_sum is None else sums
    return cells, tables[0], counts, total, square


def cells_by_group(group: Any, n_groups: int) -> tuple[Any, Any]:
    """The numbers of the cells sorted by group, and where in them each group starts and the last one ends."""
    xp = namespace(group)
    order = xp.argsort(group)
    return order, xp.searchsorted(group[order], xp.arange(n_groups + 1))


def fixed_point_scales(n_cells: int, target_sum: float | None) -> tuple[float, float, float]:
    """Powers of two by which fractions of counts, ``e`` and ``e²`` are multiplied before they are rounded to integers.

    No sum over ``n_cells`` cells can exceed 2⁶², and no value is off by more than half of 1 / scale.
    """
    largest_e = LARGEST_E if target_sum is None else log1p(target_sum)
    largest = (1.0, largest_e, largest_e**2)
    fraction, total, square = (2.0 ** floor(LARGEST_SUM - log2(max(n_cells, 1) * x)) for x in largest)
    return fraction, total, square


def _sums(tables: Any, scales: tuple[float, float, float], one: Any) -> tuple[Any, Any, Any]:
    """Sums of values, of ``e`` and of ``e²``, in the memory of the integer tables; times ``one``, which may be NaN."""
    xp = namespace(tables)
    units = (one, *(one / scale for scale in scales))
    whole, fraction, total, square = (
        xp.multiply(table, unit, out=table.view(np.float64)) for table, unit in zip(tables[1:], units, strict=True)
    )
    whole += fraction
    return whole, total, square


GATHER_THREADS = 256
GATHER_BYTES = 46 * 1024  # and the kernel's own are below 48 KiB, which every device gives


def gather_dense(block: Any, genes: Any, target_sum: float | None, *, ceiling: Any = None) -> Any:
    """`ops.gather_dense` with every element written once."""
    xp = namespace(block.data)
    (n_cells, n_genes), n_columns = block.shape, len(genes)
    column = xp.full(n_genes, -1, dtype=xp.int32)
    column[xp.asarray(genes)] = xp.arange(n_columns, dtype=xp.int32)
    n_tiles, tile = _tiles(n_columns, GATHER_BYTES // 4)
    ceiling = NO_ARRAY if ceiling is None else xp.asarray(ceiling, dtype=xp.float32)
    out = xp.empty((n_cells, n_columns), dtype=xp.float32)
    shape = Shape(n_cells * n_tiles, GATHER_THREADS, tile * 4)
    sizes = (np.int32(n_columns), np.int32(tile))
    _launch_on(block, "gather_dense", shape, column, *sizes, np.float64(target_sum or 0), ceiling, out)
    return out
