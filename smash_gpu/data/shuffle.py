"""Blocks of cells in random order, for models that learn from one block at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

BYTES_PER_BLOCK = 256 * 2**20  # of float32


def block_cuts(n_cells: int, n_genes: int) -> list[slice]:
    """Rows of a matrix cut into even blocks of at most `BYTES_PER_BLOCK`."""
    n_blocks = -(-n_cells // max(1, BYTES_PER_BLOCK // (4 * n_genes)))
    ends = np.arange(n_blocks + 1) * n_cells // n_blocks
    return [slice(int(start), int(end)) for start, end in pairwise(ends)]


def shuffled(n_cells: int, n_genes: int) -> np.ndarray:
    """An order of the cells in which every block of `block_cuts` holds a uniform random sample of them.

    Within a block the order is that of the data; if one block holds all cells, nothing is shuffled. It depends on
    the shape alone: not on a seed, so that one file serves many models, and not on free memory.
    """
    if len(block_cuts(n_cells, n_genes)) == 1:
        return np.arange(n_cells)
    ends = [cut.stop for cut in block_cuts(n_cells, n_genes)]
    block = np.searchsorted(ends, np.random.default_rng(0).permutation(n_cells), side="right")
    return np.argsort(block, kind="stable")


def by_block(cells: np.ndarray, shape: tuple[int, int]) -> list[np.ndarray]:
    """The sorted numbers of ``cells``, split by the blocks of a matrix of this shape."""
    ends = [cut.stop for cut in block_cuts(*shape)]
    return [part for part in np.split(cells, np.searchsorted(cells, ends[:-1])) if len(part)]
