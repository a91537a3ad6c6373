"""Say what is installed and whether the GPU can be used."""

from __future__ import annotations

import argparse

from smash_gpu.cli.json_output import Result

PURPOSE = (
    "say what is installed, which GPU there is, and whether it computes what the CPU computes; exit code 0: it does, "
    "1: no GPU can be used, 2: something is wrong"
)
OUT = None
MARKS = {"good": "ok", "no_device": "--", "wrong": "!!"}


def add_arguments(_: argparse.ArgumentParser) -> None:
    """It has no options."""


def run(_: argparse.Namespace) -> Result:
    """Print one line per finding, as soon as it is known; the exit code is that of the worst."""
    from smash_gpu.runtime.device_check import Status, findings

    worst, listed = Status.GOOD, []
    for found in findings():
        status = found.status.name.lower()
        print(f"{MARKS[status]} {found.what}: {found.said}", flush=True)
        if found.way_out:
            print(f"   what to do: {found.way_out}.", flush=True)
        worst = max(worst, found.status)
        listed.append(vars(found) | {"status": status})
    return Result({"findings": listed}, int(worst))
