"""The README's table of GPU results is made from the committed lines."""

from __future__ import annotations

import json

from cells import REPOSITORY

from benchmarks import gpu_table, record

LINES = record.RESULTS / "gpu.jsonl"
ROW = {
    "benchmark": "gpu",
    "what": "x",
    "cells": 1000,
    "gpu": {"name": "NVIDIA H9"},
    "date": "2026-11-27",
    "commit": "c0",
}


def lines(path, *rows):
    path.write_text("".join(json.dumps(ROW | row) + "\n" for row in rows))
    return path


def test_the_readme_shows_the_newest_line_of_every_stage():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = text.split(gpu_table.START)[1].split(gpu_table.END)[0]
    assert shown == gpu_table.table(LINES), "run: python -m benchmarks gpu_table"


def test_every_committed_line_names_device_driver_date_versions_and_commit():
    for row in map(json.loads, LINES.read_text().splitlines()):
        assert {"name", "driver", "cuda", "memory_gb"} <= set(row["gpu"])
        assert row["date"] and row["commit"] and row["versions"] and row["machine"]["cores"]


def test_a_later_line_of_a_stage_replaces_an_earlier_one_in_its_place(tmp_path):
    path = lines(
        tmp_path / "x.jsonl",
        {"median_s": 0.002, "share_of_copy": 0.2, "copy_gb_per_s": 4000},
        {"what": "y", "wall_s": 20.15},
        {"cells": 10, "what": "z", "failed": "MemoryError: 12 GiB"},
        {"median_s": 0.001, "share_of_copy": 0.41, "copy_gb_per_s": 3000, "commit": "c1"},
    )
    assert gpu_table.table(path).splitlines()[2:] == [
        "| `x` | 1,000 | 1 ms | 41% of a copy (3,000 GB/s) | H9 | 2026-11-27, c1 |",
        "| `y` | 1,000 | 20.1 s |  | H9 | 2026-11-27, c0 |",
        "| `z` | 10 | failed (MemoryError) |  | H9 | 2026-11-27, c0 |",
    ]


def test_the_command_writes_between_the_marks_only(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{gpu_table.START}old\n{gpu_table.END}after\n")
    path = lines(tmp_path / "x.jsonl", {"median_s": 2.0})
    gpu_table.main(["--json", str(path), "--readme", str(readme)])
    before, rest = readme.read_text().split(gpu_table.START)
    table, after = rest.split(gpu_table.END)
    assert (before, table, after) == ("before\n", gpu_table.table(path), "after\n")
