"""Nearest neighbours against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from cases.evaluation import fold_of_cells, plain_neighbours

from smash_gpu import evaluation
from smash_gpu.data.splits import Split


@pytest.mark.parametrize("scale_on_all", [True, False])
def test_prediction_is_the_plain_three_nearest_neighbours_on_z(rng, scale_on_all):
    group = rng.integers(0, 4, 60)
    X = (rng.normal(size=(60, 5)) + 0.5 * group[:, None]) * [1, 10, 100, 0.1, 1] + 3
    split = fold_of_cells(rng)
    reference = np.arange(60) if scale_on_all else split.train
    found = evaluation.predict(X.astype(np.float32), group, split, scale_on_all=scale_on_all)
    assert found.tolist() == plain_neighbours(X, group, split, reference)


def test_an_extreme_held_out_cell_counts_only_where_z_comes_from_all_cells():
    """The second gene says group 1 of cell 6, until the spread of cell 7 makes it weightless."""
    X = np.array([[0, 0], [1, 0.1], [2, 0.2], [10, 1], [11, 1.1], [12, 1.2], [4, 1.1], [4, 1000]], dtype=np.float32)
    group, split = np.array([0, 0, 0, 1, 1, 1, 1, 1]), Split(np.arange(6), np.array([6, 7]))
    assert evaluation.predict(X, group, split, scale_on_all=False)[0] == 1
    assert evaluation.predict(X, group, split, scale_on_all=True)[0] == 0


def test_a_constant_gene_does_not_disturb_the_neighbours(rng):
    group = rng.integers(0, 3, 60)
    X = (rng.normal(size=(60, 3)) + group[:, None]).astype(np.float32)
    split = fold_of_cells(rng)
    plain = evaluation.predict(X, group, split, scale_on_all=False)
    constant = evaluation.predict(np.column_stack([X, np.full(60, 7, np.float32)]), group, split, scale_on_all=False)
    np.testing.assert_array_equal(plain, constant)
