"""Forest metrics against the originals' numbers."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
from cases.peers import ORIGINAL, PANELS
from scipy import sparse

from smash_gpu.evaluation.peers import forest


@pytest.mark.slow
@pytest.mark.parametrize("panel", ["mixed", "noise"])
def test_forest_clfs_is_spapros_own(data, panel):
    X = sparse.csr_matrix(data.host_expression(np.array([list(data.names).index(g) for g in PANELS[panel]])))
    summary, confusion, order = forest.forest_clfs(X, data.labels)
    expected = ORIGINAL["spapros"][panel]
    assert list(data.groups[order]) == expected["confusion"]["groups"]
    tolerance = 1e-6 if version("xgboost-cpu") == ORIGINAL["versions"]["xgboost-cpu"] else 0.02
    np.testing.assert_allclose(confusion, expected["confusion"]["rows"], atol=tolerance)
    for name, value in summary.items():
        assert value == pytest.approx(expected[name], abs=tolerance)


def test_forest_clfs_leaves_out_small_groups_and_gives_chance_on_random_labels(rng):
    X = sparse.csr_matrix(rng.poisson(1.0, (220, 5)).astype(np.float32))
    group = rng.permutation(np.repeat([0, 1, 2], [90, 100, 30]))
    summary, confusion, order = forest.forest_clfs(X, group, n_seeds=1)
    assert sorted(order) == [0, 1]
    assert confusion.shape == (2, 2)
    assert summary["forest_clfs accuracy"] == pytest.approx(0.5, abs=0.15)
    with pytest.raises(ValueError, match="at least 40 cells"):
        forest.forest_clfs(X, np.repeat([0, 1], [190, 30]))
