"""Values are checked in whichever pass comes first, in every container."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu.data.dataset import Dataset

FIRST = {
    "sums": lambda data: data.stats,
    "moments": lambda data: data.moments(np.arange(3)),
    "detections": lambda data: data.detections_by(data.group, 2, np.arange(3)),
    "expression": lambda data: data.expression(np.arange(3)),
    "blocks": lambda data: list(data.blocks()),
    "blocks, a step": lambda data: list(data.blocks(step=lambda block, group: group)),
    "a check alone": lambda data: data.known.check(data.matrix, data.device),
}


def dataset(X, device="cpu"):
    names = np.array([f"g{i}" for i in range(X.shape[1])], dtype=object)
    return Dataset(X, np.arange(X.shape[0]) % 2, np.array(["a", "b"], dtype=object), names, names, device=device)


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_whichever_pass_comes_first_finds_good_values_good(hold, rng, first):
    data = dataset(hold(rng.poisson(1.0, (33, 7))), hold.device)
    first(data)
    assert data.known.is_checked
    assert data.only(np.arange(10)).known.is_checked


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_whichever_pass_comes_first_complains_in_every_container(hold, rng, first):
    counts = rng.poisson(1.0, (33, 7)).astype(np.float32)
    counts[31, 5] = np.nan
    data = dataset(hold(counts), hold.device)
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        first(data)
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        _ = data.only(np.arange(10)).stats  # the bad one is not among these cells, and is found all the same


def test_a_pass_that_breaks_off_proves_nothing(rng, monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10)
    counts = rng.poisson(1.0, (33, 7)).astype(np.float32)
    counts[32] = -1
    data = dataset(counts)
    next(data.blocks())
    assert not data.known.is_checked
    with pytest.raises(ValueError, match="7 negative"):
        _ = data.stats
