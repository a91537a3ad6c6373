"""Processor time of the commands that judge genes, of this checkout and of an earlier one in turns.

User and system time of the whole process, since a wall time beside other processes says little. The commands are those
of ``memory``: default options, except that ``stability`` draws four halves.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import record
from benchmarks.command import SETS, measured
from benchmarks.memory import commands
from benchmarks.startup import HERE, checkout_commit

COMMANDS = ("evaluate", "transfer", "stability", "report")
PROGRAM = ["-m", "smash_gpu.cli"]


def main(arguments: list[str]) -> None:
    """Run every command ``--repeats`` times with each checkout; append and print a line for each."""
    options = record.parser("judging")
    options.add_argument("--before", type=Path, required=True, help="folder with an earlier checkout")
    options.add_argument("--sets", nargs="+", choices=SETS, default=["paul15", "zeisel"], metavar="SET")
    options.add_argument("--commands", nargs="+", choices=COMMANDS, default=COMMANDS, metavar="COMMAND")
    options.add_argument("--repeats", type=int, default=3)
    options = options.parse_args(arguments)
    checkouts = {"before": options.before.resolve(), "now": HERE}
    for name in options.sets:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            found = commands(options.data.resolve() / f"{name}.h5ad", folder)
            seconds([*PROGRAM, *found["panel"][0]], HERE, folder)
            for command in options.commands:
                words, imports = found[command]
                row = {"benchmark": "judging", "set": name, "command": command, "repeats": options.repeats}
                row |= {"imports_s": seconds(["-c", f"import {imports}"], HERE, folder)}
                turns = [
                    {which: seconds([*PROGRAM, *words], at, folder) for which, at in checkouts.items()}
                    for _ in range(options.repeats)
                ]
                for which, at in checkouts.items():
                    taken = [turn[which] for turn in turns]
                    of = {"median_s": statistics.median(taken), "min_s": min(taken), "max_s": max(taken)}
                    line = row | {"checkout": which, "of": checkout_commit(at)} | of
                    print(line, flush=True)
                    record.write(options.json, [line])


def seconds(words: list[str], checkout: Path, folder: Path) -> float:
    """Processor time of a Python process with the package of a checkout."""
    return measured(["env", f"PYTHONPATH={checkout}", sys.executable, *words], folder)["processor_s"]
