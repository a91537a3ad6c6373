"""Cells with one gene per group."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu.data.splits import stratified


@pytest.fixture
def cells(rng):
    """Expression of 20 genes in three unequal groups; gene c is high in group c."""
    group = np.repeat([0, 1, 2], [90, 40, 12])
    X = rng.gamma(1.0, 1.0, (len(group), 20)).astype(np.float32)
    X[np.arange(len(group)), group] += 4
    order = rng.permutation(len(group))
    return X[order], group[order], stratified(group[order])
