"""Processor time until ``smash-gpu`` answers and of ``import smash_gpu``, of this checkout and an earlier one in turns.

User and system time of the whole process, since a wall time beside other processes says little.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import record

HERE = Path(__file__).parents[1]
COMMAND = ["-m", "smash_gpu.cli"]
CASES = {
    "--help": [*COMMAND, "--help"],
    "--version": [*COMMAND, "--version"],
    "find --help": [*COMMAND, "find", "--help"],
    "unknown option": [*COMMAND, "find", "cells.h5ad", "--grupby", "cell_type"],
    "import smash_gpu": ["-c", "import smash_gpu"],
    "smash_gpu.tl": ["-c", "import smash_gpu; smash_gpu.tl"],
    "import anndata": ["-c", "import anndata"],
}


def main(arguments: list[str]) -> None:
    """Run every case ``--repeats`` times; append and print a line for each checkout and case."""
    options = record.parser("startup")
    options.add_argument("--before", type=Path, help="folder with an earlier checkout")
    options.add_argument("--repeats", type=int, default=7)
    options = options.parse_args(arguments)
    checkouts = {"before": options.before, "now": HERE} if options.before else {"now": HERE}
    for case, words in CASES.items():
        seconds = {which: [] for which in checkouts}
        for _ in range(options.repeats + 1):
            for which, folder in checkouts.items():
                seconds[which].append(processor_time(words, folder))
        for which, folder in checkouts.items():
            row = {"benchmark": "startup", "case": case, "checkout": which, "of": checkout_commit(folder)}
            row |= _of(seconds[which][1:])  # the first run writes what Python compiles
            print(row, flush=True)
            record.write(options.json, [row])


def processor_time(words: list[str], folder: Path) -> tuple[float, float]:
    """User and system seconds of a Python process with the package of this checkout."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, **quiet)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime, used.ru_stime


def _of(seconds: list[tuple[float, float]]) -> dict:
    user, system = zip(*seconds, strict=True)
    numbers = {"user_s": statistics.median(user), "user_min_s": min(user), "system_s": statistics.median(system)}
    return {name: round(value, 3) for name, value in numbers.items()} | {"repeats": len(seconds)}


def checkout_commit(folder: Path) -> str | None:
    """The commit of a checkout, short; None without git."""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
