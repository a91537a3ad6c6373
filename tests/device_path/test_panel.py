"""A panel designed on a stand-in device."""

from __future__ import annotations

import pandas as pd
import pytest
import strict_cupy
from cells import planted

import smash_gpu as smg

QUOTA = {"noise": (["NOISE30", "NOISE31"], 1, None)}


OPTIONS = (
    {},
    {"quotas": QUOTA},
    {"probe_sets": (1, 4)},
    {"failure_rate": 0.2},
    {"variation": 0.3},
    {"variation": 1.0, "variation_target": "total"},
    {"variation": 0.2, "batch_key": "sample"},
)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_panel_designed_on_a_device_is_the_panel(monkeypatch, rng, options):
    adata, found = planted(rng), {}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
        smg.tl.panel(adata, "cell_type", n_genes=8, min_markers=1, max_transcripts=12, device=where, **options)
        found[where] = [smg.get.panel_table(adata, name) for name in ("genes", "pairs", "curve", "purposes", "caps")]
    for cpu, device in zip(*found.values(), strict=True):
        pd.testing.assert_frame_equal(device, cpu)


def test_a_list_is_validated_on_a_device_as_on_a_cpu(monkeypatch, rng):
    adata, found = planted(rng), {}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
        limits = {"expression_q99": (2, 6), "counts_per_million": (0, 9e4)}
        smg.tl.validate(adata, "cell_type", genes=list(adata.var_names[:20]), limits=limits, device=where)
        found[where] = [smg.get.validation(adata, name) for name in ("checks", "genes", "crowding")]
    assert "fail" in set(found["cpu"][0]["verdict"])
    for cpu, device in zip(*found.values(), strict=True):
        pd.testing.assert_frame_equal(device, cpu)
