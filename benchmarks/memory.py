"""Peak memory of every command on every set, above what its imports alone take.

Each command is a process of its own with the default options, except that ``stability`` and ``tune`` try few times,
which does not change the peak. ``above_imports_mib`` is its peak resident memory less that of a process which imports
the same large libraries. ``processor_s`` is user and system time. A line is written after each command.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks import record
from benchmarks.command import IMPORTS, MODELS, SETS, measured

GROUPBY = ["--groupby", "cell_type"]
SMALL = "anndata, smash_gpu"
PLAIN = f"sklearn.ensemble, {SMALL}"
N_GENES = "30"


def main(arguments: list[str]) -> None:
    """Run every command on every set once; print and append a line for each."""
    options = record.parser("memory")
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    options.add_argument("--commands", nargs="+", metavar="COMMAND", help="only these, such as find, panel, report")
    options = options.parse_args(arguments)
    for name in options.sets:
        with tempfile.TemporaryDirectory() as folder:
            for row in of_set(name, options, Path(folder)):
                record.write(options.json, [row])
                print({k: round(v, 1) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def of_set(name: str, options: argparse.Namespace, folder: Path) -> Iterator[dict]:
    """A row per command; later commands read what ``panel`` has written."""
    for what, (words, imports) in commands(options.data / f"{name}.h5ad", folder).items():
        command = words[0]
        if options.commands and command not in {*options.commands} and command != "panel":
            continue
        run = measured([sys.executable, "-m", "smash_gpu.cli", *words], folder)
        row = {"benchmark": "memory", "set": name, "command": what, "peak_mib": run["mib"]}
        row |= {"imports_mib": _bare(imports), "above_imports_mib": run["mib"] - _bare(imports)}
        yield row | {"s": run["s"], "processor_s": run["processor_s"]}


def commands(data: Path, folder: Path) -> dict[str, tuple[list[str], str]]:
    """The words of each command, and the large libraries that it imports."""
    here, design, drawn = str(data), folder / "design", f"{PLAIN}, matplotlib.pyplot"
    panel = str(design / "panel.csv")
    found = {
        f"find {model}": (
            ["find", here, *GROUPBY, "--model", model, "--no-figures", "--out", str(folder / model)],
            f"{IMPORTS[model]}, {PLAIN}",
        )
        for model in MODELS
    }
    return found | {
        "panel": (["panel", here, *GROUPBY, "--n-genes", N_GENES, "--out", str(design)], f"matplotlib.pyplot, {SMALL}"),
        "validate": (["validate", panel, "--reference", here, *GROUPBY], SMALL),
        "evaluate": (["evaluate", here, *GROUPBY, "--genes", panel], f"sklearn.neighbors, {SMALL}"),
        "transfer": (
            ["transfer", here, "--reference", here, *GROUPBY, "--genes", panel],
            f"sklearn.neighbors, {SMALL}",
        ),
        "stability": (["stability", here, *GROUPBY, "--n-resamples", "4"], PLAIN),
        "tune": (["tune", here, *GROUPBY, "--model", "rf", "--n-trials", "2"], f"optuna, {PLAIN}"),
        "report": (["report", here, *GROUPBY, "--out", str(folder / "report.html")], drawn),
        "export": (["export", str(design / "panel.h5ad"), "--format", "xenium", "--out", str(folder / "x.csv")], SMALL),
    }


@cache
def _bare(imports: str) -> float:
    """Peak resident MiB of a process that only imports these."""
    with tempfile.TemporaryDirectory() as folder:
        return measured([sys.executable, "-c", f"import {imports}"], Path(folder))["mib"]
