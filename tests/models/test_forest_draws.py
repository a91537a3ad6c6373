"""How many cells a tree of the forest draws."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu import models
from smash_gpu.data.splits import Split
from smash_gpu.models import forest


@pytest.mark.parametrize(
    ("options", "drawn"),
    [({}, 40), ({"max_samples": None}, None), ({"max_samples": 0.5}, 0.5), ({"bootstrap": False}, None)],
)
def test_a_tree_of_many_cells_draws_some_of_them(monkeypatch, rng, options, drawn):
    monkeypatch.setattr(forest, "MOST_DRAWN", 40)
    X, group = rng.random((60, 5)).astype(np.float32), np.arange(60) % 3
    model = models.build("rf", random_state=0, n_estimators=5, **options)
    model.fit(X, group, Split(np.arange(50), np.arange(50, 60)))
    assert model.estimator.max_samples == drawn
    model.fit(X, group, Split(np.arange(40), np.arange(50, 60)))
    assert model.estimator.max_samples == (None if options == {} else drawn)
