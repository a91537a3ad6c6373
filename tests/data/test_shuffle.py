"""Cells in blocks of random order."""

from __future__ import annotations

import numpy as np
import pytest
from cases.parts import FEW
from hypothesis import given
from hypothesis import strategies as st

from smash_gpu.data import shuffle
from smash_gpu.data.shuffle import block_cuts, by_block, shuffled

# blocks of random cells


@FEW
@given(st.integers(1, 500), st.integers(1, 20), st.integers(4, 4000), st.integers(0, 99))
def test_blocks_are_even_and_small_and_the_order_holds_every_cell_once(n_cells, n_genes, size, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shuffle, "BYTES_PER_BLOCK", max(size, 4 * n_genes))
        cuts = block_cuts(n_cells, n_genes)
        order = shuffled(n_cells, n_genes)
        some = np.flatnonzero(np.random.default_rng(seed).random(n_cells) < 0.5)
        blocks = by_block(some, (n_cells, n_genes))
    sizes = [cut.stop - cut.start for cut in cuts]
    assert sum(sizes) == n_cells
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) * 4 * n_genes <= max(size, 4 * n_genes)
    assert sorted(order.tolist()) == list(range(n_cells))
    assert all((np.diff(order[cut]) > 0).all() for cut in cuts)
    assert np.concatenate([np.empty(0, int), *blocks]).tolist() == some.tolist()
    assert {len({int(np.searchsorted([c.stop for c in cuts], i, side="right")) for i in b}) for b in blocks} <= {1}


def test_cells_of_one_block_keep_the_order_of_the_data_and_shared_data_are_one_block():
    assert shuffled(500, 100).tolist() == list(range(500))
    assert len(block_cuts(65_536, 1024)) == 1
    assert len(block_cuts(65_537, 1024)) == 2
