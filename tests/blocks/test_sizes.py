"""Sizes of blocks follow the number of stored values."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from smash_gpu.blocks import sizes as block_sizes


def test_blocks_hold_even_numbers_of_values_where_room_is_short(monkeypatch):
    lengths = np.r_[np.full(900, 10), np.full(100, 500)]
    X = sparse.csr_matrix(
        (np.ones(lengths.sum()), np.zeros(lengths.sum(), int), np.r_[0, np.cumsum(lengths)]), (1000, 600)
    )
    monkeypatch.setattr(block_sizes, "_most_values", lambda device: 2000)
    blocks = list(block_sizes.row_cuts(X))
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop) == (0, 1000)
    assert max(X.indptr[block.stop] - X.indptr[block.start] for block in blocks) <= 2000
    assert len(blocks) < 40
