"""Compiled loops and everything else that made the package faster changed no result.

`before_the_loops.json` was written by the commit that it names: a digest of the integer sums per class, the 30 genes of
`tl.panel`, and the markers of a random forest without inverse PCA, for each annotated set.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu.compute import loops
from smash_gpu.data.stats import group_stats

pytestmark = pytest.mark.slow
BEFORE = json.loads(Path(__file__).with_name("before_the_loops.json").read_text())["sets"]
SMALL = ("paul15", "pbmc3k", "kang_muscat")
LEAST_SHARED = 0.9  # of the markers: trees of another scikit-learn draw other cells; two seeds share 0.6 to 0.8


@pytest.mark.parametrize("fewest", [0, 2**62], ids=["compiled", "NumPy"])
@pytest.mark.parametrize("name", BEFORE)
def test_integer_sums_are_the_same(shared, monkeypatch, name, fewest):
    pytest.importorskip("numba", reason="the loops need Numba; without it NumPy does the same")
    monkeypatch.setattr(loops, "FEWEST_VALUES", fewest)
    adata = shared(name)
    codes = adata.obs["cell_type"].astype("category").cat.codes.to_numpy().astype(np.int64)
    sums = group_stats(adata.X, codes, int(codes.max()) + 1)
    digest = hashlib.sha256()
    for table in (sums.cells, sums.detected, sums.counts):
        np.testing.assert_array_equal(table, np.rint(table))
        digest.update(np.ascontiguousarray(table, dtype="<i8").tobytes())
    assert digest.hexdigest()[:16] == BEFORE[name]["tables"]


@pytest.mark.parametrize("name", BEFORE)
def test_the_panel_is_the_same(shared, name):
    adata = shared(name)
    smg.tl.panel(adata, "cell_type", n_genes=30)
    assert list(smg.get.panel(adata)) == BEFORE[name]["panel"]


@pytest.mark.parametrize("name", SMALL)
def test_the_markers_are_the_same(shared, name):
    adata = shared(name)
    smg.tl.smash(adata, "cell_type", model="rf", inverse_pca=False)
    markers = smg.get.markers(adata)[["group", "rank", "name", "direction"]].astype(str).agg(":".join, axis=1)
    before = BEFORE[name]["markers"]
    assert len(markers) == len(before)
    assert len(set(markers) & set(before)) >= LEAST_SHARED * len(before)
