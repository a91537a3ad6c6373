"""The README's table of `gpu` and of `deeplift` on a device, from the newest line of each stage.

``python -m benchmarks gpu_table`` writes it into the README, between its two marks.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import record

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- gpu table -->\n", "<!-- end of the gpu table -->\n"
HEAD = ["stage", "cells", "time", "", "device", "date, commit"]
STAGE = ("benchmark", "what", "cells")


def main(arguments: list[str]) -> None:
    """Write the table into the README."""
    options = record.parser("gpu_table")
    options.set_defaults(json=record.RESULTS / "gpu.jsonl")
    options.add_argument("--readme", type=Path, default=README)
    options = options.parse_args(arguments)
    text = options.readme.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    options.readme.write_text(before + START + table(options.json) + END + after, encoding="utf-8")


def table(path: Path) -> str:
    """One row per stage."""
    lines = [HEAD, ["---"] * len(HEAD), *map(cells_of, newest(path))]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def newest(path: Path) -> list[dict]:
    """The last line of each stage and number of cells, in the order in which the stages were first measured."""
    found: dict[tuple, dict] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[tuple(row.get(name) for name in STAGE)] = row
    return list(found.values())


def cells_of(row: dict) -> list[str]:
    """The cells of a stage's row."""
    time = row.get("median_s", row.get("wall_s"))
    said = row["failed"].partition(":")[0] if "failed" in row else ""
    shown = f"failed ({said})" if said else seconds(time) if time is not None else ""
    cells = f"{row['cells']:,}" if "cells" in row else ""
    when = f"{row['date']}, {row.get('commit') or 'not committed'}"
    return [f"`{row['what']}`", cells, shown, share(row), row["gpu"]["name"].removeprefix("NVIDIA "), when]


def seconds(time: float) -> str:
    """Three digits, in a unit that suits them."""
    return f"{time:,.3g} s" if time >= 1 else f"{1e3 * time:,.3g} ms"


def share(row: dict) -> str:
    """How near to the machine's best: of a copy's bandwidth, operations a second, or times another program."""
    if "note" in row:
        return row["note"]
    if "share_of_copy" in row:
        return f"{row['share_of_copy']:.0%} of a copy ({row['copy_gb_per_s']:,.0f} GB/s)"
    if "tflop_per_s" in row:
        return f"{row['tflop_per_s']:.0f} TFLOP/s"
    if "times_faster_than_shap" in row:
        return f"{row['times_faster_than_shap']:,.0f} × faster than shap"
    return ""
