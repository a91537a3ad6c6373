"""``python -m benchmarks gpu_models`` without a GPU."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cells import planted

from benchmarks import gpu_models


@pytest.mark.slow
def test_every_part_writes_lines(tmp_path, rng, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu_models, "GENES", 200)
    monkeypatch.setattr(gpu_models, "CLASSES", 4)
    monkeypatch.setattr(gpu_models, "DETECTED", 20)
    monkeypatch.setattr(gpu_models, "DEPTHS", (None, 4))
    planted(rng).write_h5ad(tmp_path / "planted.h5ad")
    gpu_models.main([
        "--device", "cpu", "--cells", "700", "--data", str(tmp_path), "--sets", "planted", "missing",
        "--json", str(tmp_path / "lines"),
    ])  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    found = {part: [row for row in rows if row["part"] == part] for part in ("steps", "xgboost", "depth", "seeds")}
    assert all(part[-1]["what"] == "whole part" for part in found.values())
    plain, recorded = found["steps"][:2]
    assert plain["losses"] == recorded["losses"]
    assert [row["group_lasso"] for row in found["steps"][:8]] == [0.3] * 4 + [0.0] * 4
    assert found["steps"][4]["losses"] != plain["losses"], "without the penalty"
    assert [row["rounds"] for row in found["xgboost"][:3:2]] == [3, 40]
    assert [row["accuracy"] > 0.8 for row in found["xgboost"][1:3]] == [True, True]
    assert found["depth"][0]["of_top_5"] == 1
    assert [row["max_depth"] for row in found["depth"][:2]] == [None, 4]
    assert [row["model"] for row in found["seeds"][:3]] == ["rf", "rf", "brf"]
    assert "failed" in found["seeds"][3], "a set that is missing"


def test_expression_is_that_of_the_counts():
    X, group, split = gpu_models.expression("cpu", 1_500)
    assert (X.shape, X.dtype, len(group)) == ((1_500, gpu_models.GENES), np.float32, 1_500)
    assert (X > 0).sum(axis=1).mean() == pytest.approx(gpu_models.DETECTED, rel=0.3)
    np.testing.assert_allclose(np.expm1(X).sum(axis=1), gpu_models.DETECTED, rtol=1e-4)
    assert len(split.train) + len(split.test) == 1_500
