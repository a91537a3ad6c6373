"""The command `panel`."""

from __future__ import annotations

import pandas as pd
import pytest

PNG = b"\x89PNG"


@pytest.fixture
def data(two_columns, tmp_path):
    two_columns.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_the_command_writes_what_vendors_and_readers_take(run, data, tmp_path):
    (tmp_path / "table.csv").write_text(
        "gene,probes,price\n" + "\n".join(f"NOISE{i},{i},1" for i in range(9, 60)) + "\nMARKER1X,9,1"
    )
    (tmp_path / "must.txt").write_text("NOISE30\n")
    out = tmp_path / "out"
    code, said, error = run(
        "panel", data, "--groupby", "cell_type", "fine", "--column-weights", 2, 1, "--n-genes", 8, "--include",
        tmp_path / "must.txt", "--max-transcripts", 30, "--max-counts", "-", 20, "--gene-table", tmp_path / "table.csv",
        "--limit", "probes", 5, "-", "--pair", "A", "A/2", 3, "--min-markers", 1, "--exclude-families", "ribosomal",
        "--xenium-reference", "--out", out,
    )  # fmt: skip
    assert code == 0, error
    assert "8 genes, in order of choice" in said
    assert "The fullest caps" in said
    panel = pd.read_csv(out / "panel.csv")
    assert panel["name"][0] == "NOISE30"
    assert set(panel["name"][1:]) <= {"MARKER1X", *(f"NOISE{i}" for i in range(9, 60))}
    assert {p.name for p in out.iterdir()} >= {
        "pairs.csv", "purposes.csv", "curve.csv", "rules.csv", "caps.csv", "certificate.csv", "xenium.csv",
        "merscope.csv", "params.json", "curve.png", "unresolved.png", "xenium_reference",
    }  # fmt: skip
    assert (out / "curve.png").read_bytes().startswith(PNG)
    assert (out / "xenium_reference" / "matrix.mtx.gz").exists()
    code, said, _ = run("evaluate", data, "--groupby", "cell_type", "--genes", out / "xenium.csv")
    assert code == 0
    assert "8 genes" in said


def test_the_command_says_what_is_in_the_way(run, data, tmp_path):
    code, _, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 30, "--max-transcripts", 2)
    assert code == 2
    assert "no 30 genes fit all caps together" in error
    assert "raise it by" in error
    code, _, error = run("panel", data, "--groupby", "cell_type", "--column-weights", 1, 2)
    assert "2 weights for 1 columns" in error


def test_parquet_is_asked_for_before_anything_is_computed(run, data, monkeypatch):
    monkeypatch.setattr("smash_gpu.cli.panel.find_spec", lambda _: None)
    code, said, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 5, "--tables", "parquet")
    assert (code, said) == (2, "")
    assert "pip install pyarrow" in error
