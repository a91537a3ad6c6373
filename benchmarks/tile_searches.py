"""What is read to find where the tiles of `group_stats` begin and end in a cell, counted in the benchmark's counts.

Memory is read by lines of 64 bytes. Beside the matrix itself, the lines at a border between two tiles are read twice,
and those that a search looks into once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import gpu

CELLS, TILES, LINE_BYTES, FIRST_STEP = 2000, 2, 64, 16
Search = Callable[[np.ndarray, int], tuple[int, list[int]]]


def rows(seed: int = 0) -> Iterator[dict]:
    """A line for each way to search, and one without any search."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, gpu.CLASSES, CELLS)
    _, indices, indptr = gpu.counts(np, gpu.rates(rng, gpu.GENES, gpu.CLASSES, gpu.DETECTED), group, seed + 1)
    for what, search in {"none": known, "by halves, at both ends": halving, "from the likely place": likely}.items():
        found = [lines_read(indices, begin, end, search) for begin, end in zip(indptr[:-1], indptr[1:], strict=True)]
        share = LINE_BYTES * sum(lines for lines, _ in found) / (8 * len(indices)) - 1
        row = {"kernel": "group_stats", "search": what, "line_bytes": LINE_BYTES, "tiles": TILES, "seed": seed}
        yield row | {"extra_share": round(share, 4), "looks_per_cell": sum(looks for _, looks in found) / CELLS}


def lines_read(indices: np.ndarray, begin: int, end: int, search: Search) -> tuple[int, int]:
    """Lines of values and indices that all tiles read for one cell, and how often a search looks."""
    lines = looks = 0
    width = -(-gpu.GENES // TILES)
    for first in range(0, gpu.GENES, width):
        borders = [search(indices[begin:end], gene) for gene in (first, first + width)]
        places = [place for _, seen in borders for place in seen]
        lines += len({4 * (begin + place) // LINE_BYTES for place in places})
        (low, _), (high, _) = borders
        lines += 2 * (-(-4 * (begin + high) // LINE_BYTES) - 4 * (begin + low) // LINE_BYTES)
        looks += len(places)
    return lines, looks


def known(genes: np.ndarray, gene: int) -> tuple[int, list[int]]:
    """Genes of the cell that come before ``gene``, and where one looked: nowhere."""
    return int(np.searchsorted(genes, gene)), []


def halving(genes: np.ndarray, gene: int) -> tuple[int, list[int]]:
    """The cell is halved, also for its first and its last tile, as until commit 8353e78."""
    low, high, seen = 0, len(genes), []
    while low < high:
        seen.append((low + high) // 2)
        low, high = (seen[-1] + 1, high) if genes[seen[-1]] < gene else (low, seen[-1])
    return low, seen


def likely(genes: np.ndarray, gene: int) -> tuple[int, list[int]]:
    """As `genes_before` in ``kernels/group_stats.cu``."""
    if gene <= 0 or gene >= gpu.GENES:
        return (0 if gene <= 0 else len(genes)), []
    low, high, step, seen = 0, len(genes), FIRST_STEP, []
    place = min(len(genes) * gene // gpu.GENES, len(genes) - 1)
    while low < high:
        seen.append(place)
        low, high = (place + 1, high) if genes[place] < gene else (low, place)
        if low > 0 and high < len(genes):
            place = (low + high) // 2
        else:
            place = min(low + step, len(genes) - 1) if low > 0 else max(high - 1 - step, 0)
            step *= 2
    return low, seen
