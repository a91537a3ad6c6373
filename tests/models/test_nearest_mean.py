"""The nearest class mean against plain loops, and accuracy by group."""

from __future__ import annotations

import numpy as np

from smash_gpu.models.nearest_mean import NearestMean, held_out, right_by_group


def test_the_nearest_mean_is_the_plain_loop_in_units_of_the_deviation(rng):
    group = rng.integers(0, 3, 2500)
    X = (rng.normal(size=(2500, 6)) + np.eye(3, 6)[group] * 2).astype(np.float32)
    X[:, 5] = 7  # does not vary
    X[:, 4] *= 50  # noise in larger units
    cells = np.flatnonzero(rng.random(2500) < 0.7)
    found = NearestMean.of(X, group, cells, 3)
    mean = np.array([X[cells][group[cells] == c].mean(axis=0) for c in range(3)])
    std = X[cells].std(axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.std[:5], std[:5], rtol=1e-3)
    z, centre = X[:, :5] / std[:5], mean[:, :5] / std[:5]
    expected = ((z[:, None] - centre) ** 2).sum(axis=2).argmin(axis=1)
    assert (found.predict(X) == expected).mean() > 0.999
    assert (found.predict(X) == group).mean() > 0.8
    assert len(found.predict(X[:0])) == 0


def test_accuracy_by_group_is_the_plain_loop_and_nan_where_no_cell_was_held_out():
    true, predicted = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 0, 3])
    right = right_by_group(true, predicted, 4)
    assert right.tolist() == [2, 1, 0, 1]
    found = held_out(true, right, np.array([3, 2, 0, 0]))
    np.testing.assert_allclose(found["group_accuracy"], [2 / 3, 1 / 2, np.nan, 1])
    assert (found["accuracy"], found["nearest_mean"]) == (4 / 6, 5 / 6)
