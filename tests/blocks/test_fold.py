"""Blocks that do not fit in memory are split, and the sums stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.blocks.fold import fold
from smash_gpu.data import stats


def limited(limit):
    """A step that has memory for ``limit`` cells at a time."""

    def step(block, group):
        if block.shape[0] > limit:
            raise MemoryError(f"Unable to allocate room for {block.shape[0]} cells")
        return stats.GroupStats(*stats.ops.group_stats(block, group, 3, 1e4))

    return step


@pytest.fixture
def cells(rng):
    return sparse.csr_matrix(rng.poisson(0.7, (53, 9)).astype(np.float32)), rng.integers(-1, 3, 53)


@pytest.mark.parametrize("limit", [52, 13, 4])
def test_blocks_too_large_for_memory_are_halved_and_give_the_same_sums(cells, limit):
    X, group = cells
    whole = fold(X, limited(100), group)
    with pytest.warns(UserWarning, match="53 cells at once.*half as many"):
        halved = fold(X, limited(limit), group)
    np.testing.assert_array_equal(halved.detected, whole.detected)
    np.testing.assert_allclose(halved.square, whole.square, rtol=1e-12)


def test_dask_blocks_too_large_for_memory_are_halved(cells):
    da = pytest.importorskip("dask.array")
    X, group = cells
    parts = [da.from_array(X[i : i + 20], chunks=-1, asarray=False) for i in (0, 20, 40)]
    with pytest.warns(UserWarning, match="20 cells at once"):
        halved = fold(da.concatenate(parts, axis=0), limited(7), group)
    np.testing.assert_array_equal(halved.detected, fold(X, limited(100), group).detected)


@pytest.mark.filterwarnings("ignore:not enough memory")
def test_memory_for_no_cell_at_all_is_an_error_with_a_way_out(cells):
    X, group = cells
    with pytest.raises(MemoryError, match="1 cell at once.*device='cpu'"):
        fold(X, limited(0), group)


class Short(np.ndarray):
    """Lends five cells at a time; there is no memory for more."""

    def __getitem__(self, cut):
        if cut.stop - cut.start > 5:
            raise MemoryError(f"Unable to read {cut.stop - cut.start} cells")
        return np.asarray(super().__getitem__(cut))


def test_blocks_too_large_to_be_read_are_read_in_halves(cells, monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 20)
    X, group = cells
    with pytest.warns(UserWarning, match="20 cells at once.*half as many"):
        halved = fold(X.toarray().view(Short), limited(100), group)
    np.testing.assert_array_equal(halved.detected, fold(X, limited(100), group).detected)
