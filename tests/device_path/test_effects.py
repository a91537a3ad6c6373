"""Effect sizes of cells on a stand-in device are those of the host."""

from __future__ import annotations

import numpy as np
import pytest
from cases.lists import data_of
from strict_cupy import DeviceArray

from smash_gpu.selection import effects, rank_sum


@pytest.mark.parametrize("n_bytes", [2**26, 4 * 50 * 9], ids=["all cells", "a sample"])
def test_the_area_under_the_curve_is_that_of_the_host_bit_for_bit(device, monkeypatch, rng, n_bytes):
    X, group = rng.poisson(1.0, (120, 9)).astype(np.float32), np.tile([0, 1, 2], 40)
    X[:, 3], X[:, 4] = 0, -X[:, 4]
    monkeypatch.setattr(effects, "BYTES_FOR_AUC", n_bytes)
    monkeypatch.setattr(effects, "MIN_CELLS_PER_CLASS", 10)
    monkeypatch.setattr(effects, "VALUES_AT_ONCE_ON_DEVICE", 300)  # genes in several parts
    np.testing.assert_array_equal(effects.sampled_auc(DeviceArray(X), group), effects.sampled_auc(X, group))


def test_the_genes_of_the_rank_sum_test_are_those_of_the_host(device, adata):
    host, there = data_of(adata), data_of(adata, device="cuda")
    np.testing.assert_allclose(rank_sum.scores(there), rank_sum.scores(host), atol=0.01)
    assert rank_sum.choose(6)(there).tolist() == rank_sum.choose(6)(host).tolist()
