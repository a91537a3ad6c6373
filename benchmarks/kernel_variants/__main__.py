"""Times each variant; see the package."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np

from benchmarks import gpu

HERE = Path(__file__).parent
GENES, CLASSES, TARGET = 20_000, 30, 1e4
COLUMNS = 5000, 1334
GROUP_STATS: tuple[dict[str, int], ...] = (
    {}, {"AHEAD": 4}, {"AHEAD": 6}, {"LATE": 1, "AHEAD": 4}, {"NOCONFLICT": 1}, {"SHFL": 1}, {"SHFL": 1, "AHEAD": 4},
    {"LDCS": 1}, {"THREADS": 768}, {"THREADS": 512}, {"THREADS": 512, "AHEAD": 12}, {"CARRY": 0},
    {"ATOMS": 0, "CARRY": 0}, {"ATOMS": 1, "CARRY": 0}, {"ATOMS": 2, "CARRY": 0},
)  # fmt: skip
CELL_SUMS: tuple[dict[str, int], ...] = ({}, {"AHEAD": 4}, {"CHECKS": 1}, {"CHECKS": 1, "AHEAD": 4})
GATHER: tuple[dict[str, int], ...] = (
    {}, {"BITS": 1}, {"AHEAD": 8}, {"THREADS": 64}, {"THREADS": 256}, {"DIRECT": 1}, {"DIRECT": 1, "THREADS": 64},
    {"DIRECT": 1, "THREADS": 256}, {"DIRECT": 1, "BITS": 1}, {"DIRECT": 1, "BITS": 1, "THREADS": 32},
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """A CSR block on the device, the group and the library size of its cells."""

    data: Any
    indices: Any
    indptr: Any
    group: Any
    library: Any

    def values(self, n_cells: int) -> int:
        """Stored values of the first cells."""
        return int(self.indptr[n_cells])


@cache
def kernel(file: str, name: str, macros: tuple[tuple[str, int], ...]) -> Any:
    """A variant of a kernel."""
    options = ("-std=c++17", *(f"-D{key}={value}" for key, value in macros))
    return cp.RawModule(code=(HERE / f"{file}.cu").read_text(), options=options).get_function(name)


def compiled(file: str, name: str, macros: dict[str, int]) -> Any:
    """The same from a dictionary."""
    return kernel(file, name, tuple(sorted(macros.items())))


def cell_sums(counts: Counts, macros: dict[str, int]) -> None:
    """Library sizes, and with CHECKS what the values are."""
    found, n_cells = cp.zeros(5, dtype=cp.uint64), np.int64(len(counts.indptr) - 1)
    arguments = (counts.indptr, counts.data, n_cells, np.float32(20), counts.library, found)
    compiled("group_stats", "cell_sums", macros)((132 * 8,), (256,), arguments)


def group_stats(counts: Counts, n_cells: int, blocks: int, macros: dict[str, int]) -> None:
    """Sums per group, the sorting of the cells included."""
    threads, words = macros.get("THREADS", 1024), 3 + macros.get("CARRY", 1)
    room = cp.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"] - threads // 32 * 256
    tiles = -(-GENES // (room // (4 * words)))
    width, function = -(-GENES // tiles), compiled("group_stats", "gs3", macros)
    shared = threads // 32 * 256 + width * 4 * words
    function.max_dynamic_shared_size_bytes = shared
    group = counts.group[:n_cells]
    order = cp.argsort(group)
    start = cp.searchsorted(group[order], cp.arange(CLASSES + 1))
    per_run = max(32, -(-n_cells * tiles // blocks))
    tables, bad = cp.zeros((4, CLASSES, GENES), dtype=cp.uint64), cp.zeros(1, dtype=cp.int32)
    lengths = map(np.int32, (CLASSES, GENES, width, per_run))
    numbers = map(np.float64, (TARGET, 2.0**28, 2.0**25))
    arrays = (counts.indptr, counts.indices, counts.data, counts.library, order, start)
    function(
        (-(-n_cells // per_run) * tiles,), (threads,), (*arrays, *lengths, *numbers, tables, bad), shared_mem=shared
    )


def gather_dense(counts: Counts, out: Any, places: tuple[Any, Any], macros: dict[str, int]) -> None:
    """Chosen columns as a dense matrix."""
    threads, shared = macros.get("THREADS", 128), 0 if macros.get("DIRECT") else out.shape[1] * 4
    function = compiled("gather_dense", "gather", macros)
    function.max_dynamic_shared_size_bytes = shared
    numbers = (*map(np.int32, out.shape), np.float64(TARGET), np.uint64(0))
    arrays = (counts.indptr, counts.indices, counts.data, counts.library, *places)
    function((len(out),), (threads,), (*arrays, *numbers, out), shared_mem=shared)


def places_of(genes: np.ndarray) -> tuple[Any, Any]:
    """The column of each gene; and per 32 genes the chosen ones as bits, and how many come before."""
    column = np.full(GENES, -1, dtype=np.int32)
    column[genes] = np.arange(len(genes))
    is_chosen = (column >= 0).reshape(-1, 32)
    bits = (is_chosen * (1 << np.arange(32, dtype=np.uint64))).sum(axis=1)
    before = np.cumsum(is_chosen.sum(axis=1)) - is_chosen.sum(axis=1)
    return cp.asarray(column), cp.asarray(np.stack([bits, before], axis=1).astype(np.uint32))


def say(what: str, n_bytes: float, copy: float, run: Any, **variant: Any) -> None:
    """Time a variant and print its line."""
    found = gpu.events(run, repeats=6)
    share = n_bytes / found["median_s"] / 1e9 / copy
    print(json.dumps({"what": what, **variant, **found, "share_of_copy": round(share, 3)}), flush=True)


def compile_all() -> None:
    """All variants at the same time."""
    with ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(compiled, "group_stats", "gs3", m) for m in GROUP_STATS]
        tasks += [pool.submit(compiled, "gather_dense", "gather", m) for m in GATHER]
        for task in tasks:
            task.result()


def main(n_cells: int) -> None:
    """All variants, on this many cells and a tenth of them."""
    compile_all()
    copy = gpu.copy_bandwidth(cp)
    (block, *_), group, _ = gpu.matrix(cp, n_cells, seed=0)
    library = cp.empty(block.shape[0])
    counts = Counts(block.data, block.indices, block.indptr, cp.asarray(group[: block.shape[0]]), library)
    for macros in CELL_SUMS:
        say("cell_sums", 4 * counts.values(len(library)), copy, partial(cell_sums, counts, macros), **macros)
    for n in (len(library), len(library) // 10):
        n_bytes = 8 * counts.values(n) + 5 * 8 * CLASSES * GENES
        for blocks, macros in [(264, m) for m in GROUP_STATS] + [(b, {}) for b in (132, 528, 1056)]:
            run = partial(group_stats, counts, n, blocks, macros)
            say("group_stats", n_bytes, copy, run, cells=n, blocks=blocks, **macros)
    n = min(len(library), 100_000)
    for wanted in COLUMNS:
        genes = np.arange(0, GENES, GENES // wanted)[:wanted]
        out, places = cp.empty((n, len(genes)), dtype=cp.float32), places_of(genes)
        for macros in GATHER:
            run = partial(gather_dense, counts, out, places, macros)
            n_bytes = 8 * counts.values(n) + 4 * out.size
            say("gather_dense", n_bytes, copy, run, cells=n, columns=len(genes), **macros)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10**6)
