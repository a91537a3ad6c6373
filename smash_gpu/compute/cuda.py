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

from smash_gpu.compute.xp import cupy, namespace, to_host

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


def multiprocessors() -> int:
    """Number of multiprocessors of the current device."""
    return cupy.cuda.Device().attributes["MultiProcessorCount"]


def _launch_on(block: Any, kernel: str, shape: Shape, *arguments: Any) -> None:
    if shape.blocks:
        types = tuple(C_NAMES[part.dtype.name] for part in (block.data, block.indices))
        launch(kernel, types, shape, (block.indptr, block.indices, block.data, *arguments))


CHECK_THREADS = 256
CHECK_BLOCKS = 8  # per multiprocessor, as many as it holds at once


def value_checks(block: Any, large: float) -> tuple[Any, Any]:
    """`ops.value_checks` in one pass over the values."""
    xp = namespace(block.data)
    n_cells = block.shape[0]
    numbers, sums = xp.empty((5, n_cells), dtype=xp.int32), xp.empty((2, n_cells))
    _launch_on(block, "value_checks", _check_shape(n_cells), np.int64(n_cells), np.float64(large), numbers, sums)
    return numbers, sums


def library_sizes(block: Any) -> Any:
    """`ops.library_sizes`: the first sums of `value_checks`, added in the same order."""
    n_cells = block.shape[0]
    sums = namespace(block.data).empty(n_cells)
    _launch_on(block, "value_checks", _check_shape(n_cells), np.int64(n_cells), np.float64(0), NO_ARRAY, sums)
    return sums


def _check_shape(n_cells: int) -> Shape:
    cells_at_once = CHECK_THREADS // 32
    return Shape(min(ceil(n_cells / cells_at_once), CHECK_BLOCKS * multiprocessors()), CHECK_THREADS, 0)


SORT_THREADS = 256
CELLS_PER_SORT = 1024  # of a thread block


def cells_by_group(block: Any, group: Any, n_groups: int) -> tuple[Any, Any]:
    """`ops.cells_by_group`, in any order within a group: the cells of each group are counted, and then placed."""
    xp = namespace(block.data)
    group = xp.asarray(group.astype(np.int32))
    left, order = xp.zeros(n_groups + 1, dtype=xp.int32), xp.empty(len(group), dtype=xp.int32)
    has_room = 4 * n_groups <= shared_memory()
    shape = Shape(ceil(len(group) / CELLS_PER_SORT), SORT_THREADS, 4 * n_groups * has_room)
    how = group, np.int32(len(group)), np.int32(n_groups), np.int32(has_room), left
    _launch_on(block, "cells_by_group", shape, *how, NO_ARRAY, order)
    start = xp.cumsum(left, dtype=xp.int64)
    _launch_on(block, "cells_by_group", shape, *how, start, order)
    return order, start


GROUP_STATS_THREADS = 1024
CELLS_PER_RUN = 2000  # about; fewer: more is added to the tables; more: the last thread blocks end later
FEWEST_CELLS_PER_RUN = 32  # one per warp
BYTES_PER_WARP = 32 * 8  # a table of the amounts of small counts
BYTES_PER_GENE = 4 * 4  # detections and counts, two sums, and their carries
BITS_PER_AMOUNT = 32
LARGEST_SUM = 62  # log2; half of what 64 bits with a sign hold
LARGEST_SMALL_E = 16.0  # of log-normalised input; the kernel adds larger values more slowly


def group_stats(
    block: Any, group: Any, n_groups: int, target_sum: float | None, *, library_size: Any = None
) -> tuple[Any, ...]:
    """`ops.group_stats` in one pass over the non-zeros, the same bit for bit in every run.

    The sums are NaN if a stored value is negative, not finite or at least 2³¹; in log-normalised input
    (``target_sum`` None), if one is not between −128 and 128.
    """
    xp = namespace(block.data)
    n_cells, n_genes = block.shape
    bytes_of_warps = GROUP_STATS_THREADS // 32 * BYTES_PER_WARP
    n_tiles, tile = _tiles(n_genes, (shared_memory() - bytes_of_warps) // BYTES_PER_GENE)
    cells_per_run = _cells_per_run(n_cells, n_tiles)
    order, start = cells_by_group(block, group, n_groups)
    tables = xp.zeros((5, n_groups, n_genes), dtype=xp.int64)
    out_of_range = xp.zeros(1, dtype=xp.int32)
    scales = fixed_point_scales(n_cells, target_sum)
    n_blocks = ceil(n_cells / cells_per_run) * n_tiles
    shape = Shape(n_blocks, GROUP_STATS_THREADS, bytes_of_warps + tile * BYTES_PER_GENE)
    lengths = (np.int32(x) for x in (n_groups, n_genes, tile, cells_per_run))
    numbers = (np.float64(x) for x in (target_sum or 0, *scales))
    library_size = _library_size(block, target_sum, library_size)
    _launch_on(block, "group_stats", shape, library_size, order, start, *lengths, *numbers, tables, out_of_range)
    counts, total, square = _sums(tables, scales, xp.where(out_of_range > 0, xp.nan, 1.0))
    return start[1:] - start[:-1], tables[0].copy(), total.copy() if target_sum is None else counts, total, square


def _library_size(block: Any, target_sum: float | None, known: Any) -> Any:
    """What a kernel reads: nothing for logarithms, what is known, or the sums of the cells."""
    if target_sum is None:
        return NO_ARRAY
    return library_sizes(block) if known is None else namespace(block.data).asarray(known)


def _tiles(n: int, most: int) -> tuple[int, int]:
    """The number of equal tiles of at most ``most`` that cover ``n``, and their width."""
    width = max(ceil(n / max(ceil(n / most), 1)), 1)
    return ceil(n / width), width


def _cells_per_run(n_cells: int, n_tiles: int) -> int:
    """Near `CELLS_PER_RUN`, such that all multiprocessors have the same number of runs."""
    at_once = max(multiprocessors() // max(n_tiles, 1), 1)
    rounds = max(round(n_cells / (at_once * CELLS_PER_RUN)), 1)
    return max(ceil(n_cells / (at_once * rounds)), FEWEST_CELLS_PER_RUN)


def fixed_point_scales(n_cells: int, target_sum: float | None) -> tuple[float, float, float]:
    """Powers of two by which fractions of counts, ``e`` and ``e²`` are multiplied before they are rounded to integers.

    No value is off by more than half of 1 / scale. ``e`` and ``e²`` of one value stay below 2³², so that 2³⁰ cells
    cannot overflow a sum, and nor can the fractions of ``n_cells`` cells.
    """
    largest_e = LARGEST_SMALL_E if target_sum is None else log1p(target_sum)
    total, square = (2.0 ** floor(BITS_PER_AMOUNT - log2(x) - 1e-6) for x in (largest_e, largest_e**2))
    return 2.0 ** floor(LARGEST_SUM - log2(max(n_cells, 1))), total, square


def _sums(tables: Any, scales: tuple[float, float, float], one: Any) -> tuple[Any, Any, Any]:
    """Sums of values, of ``e`` and of ``e²``; times ``one``, which may be NaN.

    In memory of their own: before CuPy writes to a view of other numbers, it copies them.
    """
    xp = namespace(tables)
    units = one * xp.asarray([1 / scale for scale in scales])
    fraction, total, square = tables[2:] * units[:, None, None]
    return xp.add(tables[1], fraction, out=fraction), total, square


GATHER_THREADS = 128


def gather_dense(
    block: Any, genes: Any, target_sum: float | None, *, ceiling: Any = None, library_size: Any = None
) -> Any:
    """`ops.gather_dense`, a warp per cell: zeros and then the values, which meet in the cache of the device."""
    xp = namespace(block.data)
    n_cells, n_columns = block.shape[0], len(genes)
    chosen, column = _chosen(to_host(genes), block.shape[1], xp)
    ceiling = NO_ARRAY if ceiling is None else xp.asarray(ceiling, dtype=xp.float32)
    out = xp.empty((n_cells, n_columns), dtype=xp.float32)
    shape = Shape(ceil(n_cells * 32 / GATHER_THREADS), GATHER_THREADS, 0)
    numbers = np.int32(n_cells), np.int32(n_columns), np.float64(target_sum or 0)
    library_size = _library_size(block, target_sum, library_size)
    _launch_on(block, "gather_dense", shape, library_size, chosen, column, *numbers, ceiling, out)
    return out


def _chosen(genes: np.ndarray, n_genes: int, xp: Any) -> tuple[Any, Any]:
    """A bit per chosen gene and the number of those before, for 32 genes each; columns, unless genes are in order."""
    is_chosen = np.zeros(-(-max(n_genes, 1) // 32) * 32, dtype=bool)
    is_chosen[genes] = True
    bits = np.packbits(is_chosen, bitorder="little").view("<u4")
    chosen = is_chosen.reshape(-1, 32).sum(axis=1)
    before = np.cumsum(chosen) - chosen
    in_order = (genes[1:] > genes[:-1]).all()
    column = NO_ARRAY if in_order else xp.asarray(np.argsort(genes).astype(np.int32))
    return xp.asarray(np.stack([bits, before], axis=1).astype(np.uint32)), column
