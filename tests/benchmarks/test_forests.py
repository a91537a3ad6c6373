"""The table of the balanced forest."""

from __future__ import annotations

import json

from benchmarks import forests, record

LINES = record.RESULTS / "forests.jsonl"


def test_every_unit_has_both_forests_with_both_seeds():
    rows = [row for row in map(json.loads, LINES.read_text().splitlines()) if row["part"] == "balanced"]
    found = {(f"{row['set']}:{row['groupby']}", row["seed"], row["forest"]) for row in rows}
    units = forests.quality.UNITS
    assert found >= {(unit, seed, forest) for unit in units for seed in forests.JUDGED for forest in ("paper", "ours")}


def test_units_are_means_over_seeds_and_the_last_line_counts(tmp_path):
    def line(unit, seed, forest, accuracy):
        row = {"part": "balanced", "set": unit, "groupby": "cell_type", "seed": seed, "forest": forest}
        return json.dumps(row | {"accuracy": accuracy}) + "\n"

    path = tmp_path / "lines.jsonl"
    path.write_text(
        line("a", 31, "paper", 0.1)
        + "".join(line("a", s, f, v) for s, f, v in [(31, "paper", 0.5), (32, "paper", 0.7), (31, "ours", 0.9)])
        + line("a", 7, "ours", 0.1)
        + "".join(line("b", s, f, 0.8) for s in (31, 32) for f in ("paper", "ours"))
    )
    assert forests.table(path, [31, 32]).splitlines()[2:] == [
        "| a cell_type | 0.600 | 0.900 |",
        "| b cell_type | 0.800 | 0.800 |",
        "| mean of 2 | 0.700 | 0.850 |",
    ]
