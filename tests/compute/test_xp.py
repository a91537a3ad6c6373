"""Functions of both array libraries."""

from __future__ import annotations

import numpy as np

from smash_gpu.compute.xp import take


def test_take_numbers_rows():
    X = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(take(X, np.array([3, 0])), X[[3, 0]])
