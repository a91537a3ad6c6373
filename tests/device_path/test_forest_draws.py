"""How many cells a tree of the forest draws on a device."""

from __future__ import annotations

import numpy as np
from cases.forest import StandInForest
from strict_cupy import DeviceArray

from smash_gpu import models
from smash_gpu.data.splits import Split
from smash_gpu.models import forest


def test_a_tree_of_many_cells_draws_some_of_them(device, monkeypatch, rng):
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    monkeypatch.setattr(forest, "MOST_DRAWN", 40)
    X, group = DeviceArray(rng.random((200, 5)).astype(np.float32)), np.arange(200) % 3
    for n_cells, options, share in ((160, {}, 0.25), (30, {}, 1.0), (160, {"max_samples": None}, 1.0)):
        model = models.build("rf", random_state=0, device="cuda", **options)
        model.fit(X, group, Split(np.arange(n_cells), np.arange(160, 200)))
        assert model.estimator.max_samples == share
