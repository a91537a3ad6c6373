"""The demo."""

from __future__ import annotations

import csv

import pytest
from cases.commands import PNG
from threadpoolctl import threadpool_limits


@pytest.mark.slow
def test_demo_finds_markers_of_ten_blood_cell_types_and_judges_them(run, tmp_path):
    pytest.importorskip("scanpy")
    with threadpool_limits(1):  # two BLAS threads wait for each other for seconds where another process takes a core
        code, out, error = run("demo", "--out", tmp_path / "demo", "--n-splits", 2)
    assert code == 0, error
    with (tmp_path / "demo" / "markers.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len({row["group"] for row in table}) == 10
    assert {row["name"] for row in table if row["group"] == "CD19+ B"} & {"CD79A", "CD79B", "MS4A1"}
    assert {row["name"] for row in table if row["group"] == "CD56+ NK"} & {"NKG7", "GNLY", "GZMB"}
    assert (tmp_path / "demo" / "markers.png").read_bytes().startswith(PNG)
    assert "misclassification" in out
    assert "f1_weighted" in out
