"""The consensus is computed where the scores are."""

from __future__ import annotations

import numpy as np

from smash_gpu.selection.consensus import combined


def test_a_consensus_of_device_arrays_is_that_of_the_host(device, rng):
    scores = rng.normal(size=(2, 3, 20)).round(1)
    scores[0, 1, 3:5] = scores[1, 1, 4] = np.nan
    for found, expected in zip(combined(device.asarray(scores)), combined(scores), strict=True):
        assert isinstance(found, device.ndarray)
        np.testing.assert_allclose(found.get(), expected)
