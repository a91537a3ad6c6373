"""The table of GPU results, and the sentence of the README, from lines."""

from __future__ import annotations

import json

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


def test_the_sentence_is_of_the_newest_runs_of_whole_selections_with_the_most_cells(tmp_path):
    path = lines(
        tmp_path / "x.jsonl",
        {"what": "tl.smash, model dnn", "wall_s": 99.0, "cells": 2000},
        {"what": "tl.smash, model dnn", "wall_s": 23.4, "cells": 2000},
        {"what": "tl.smash, model xgboost", "wall_s": 128.9, "cells": 2000, "commit": "c1"},
        {"what": "tl.smash, model rf", "failed": "MemoryError: 12 GiB", "cells": 2000},
        {"what": "tl.smash, model rf", "wall_s": 1.0},
        {"what": "tl.smash, model dnn, from a file", "wall_s": 5.0, "cells": 9000},
    )
    assert gpu_table.sentence(path) == (
        'From 2,000 cells × 20,000 genes on an H9 to the markers `tl.smash` took 23 s with `model="dnn"` and 129 s '
        'with `model="xgboost"` (2026-11-27, commit c0; 2026-11-27, commit c1).\n'
    )


def test_the_command_writes_between_the_marks_only(tmp_path):
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    for file, name in ((page, gpu_table.NAME), (readme, gpu_table.SENTENCE)):
        file.write_text(f"before\n{record.START.format(name)}old\n{record.END.format(name)}after\n")
    path = lines(tmp_path / "x.jsonl", {"what": "tl.smash, model rf", "wall_s": 2.0})
    gpu_table.main(["--json", str(path), "--page", str(page), "--readme", str(readme)])
    for file, name, made in ((page, gpu_table.NAME, gpu_table.table), (readme, gpu_table.SENTENCE, gpu_table.sentence)):
        before, rest = file.read_text().split(record.START.format(name))
        table, after = rest.split(record.END.format(name))
        assert (before, table, after) == ("before\n", made(path), "after\n")
