"""The table of `gpu` and of `deeplift` on a device, from the newest line of each stage, and a sentence of it.

``python -m benchmarks gpu_table`` writes the table into ``docs/benchmarks/gpu.md`` and the sentence into the README,
between their marks.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import record
from smash_gpu.models import MODELS

PAGE = record.README.parent / "docs" / "benchmarks" / "gpu.md"
NAME, SENTENCE = "the gpu table", "GPU results"
HEAD = ["stage", "cells", "time", "", "device", "date, commit"]
STAGE = ("benchmark", "what", "cells")
WHOLE, GENES = "tl.smash, model ", 20_000
WHOLES = [WHOLE + name for name in MODELS]  # on counts that are on the device


def main(arguments: list[str]) -> None:
    """Write the table into its page and the sentence into the README."""
    options = record.parser("gpu_table")
    options.set_defaults(json=record.RESULTS / "gpu.jsonl")
    options.add_argument("--page", type=Path, default=PAGE)
    options.add_argument("--readme", type=Path, default=record.README)
    options = options.parse_args(arguments)
    record.put(options.page, {NAME: table(options.json)})
    record.put(options.readme, {SENTENCE: sentence(options.json)})


def sentence(path: Path) -> str:
    """The whole selection with each model, on the largest number of cells that has been measured."""
    runs = [row for row in newest(path) if row["what"] in WHOLES and "wall_s" in row and "failed" not in row]
    most = max(row["cells"] for row in runs)
    runs = [row for row in runs if row["cells"] == most]
    model = {row["what"].removeprefix(WHOLE): row for row in runs}
    times = " and ".join(f'{row["wall_s"]:.0f} s with `model="{name}"`' for name, row in model.items())
    device = runs[0]["gpu"]["name"].removeprefix("NVIDIA ")
    dates = sorted({f"{row['date']}, commit {row.get('commit')}" for row in runs})
    return (
        f"From {most:,} cells × {GENES:,} genes on an {device} to the markers `tl.smash` took {times} "
        f"({'; '.join(dates)}).\n"
    )


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
