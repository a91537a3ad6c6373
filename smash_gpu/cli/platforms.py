"""List the imaging platforms."""

from __future__ import annotations

import argparse

from smash_gpu.cli.json_output import Result
from smash_gpu.panel.platforms import built_in, platform_of, range_in_words

PURPOSE = "list the imaging platforms with their public limits and the source of each"
OUT = None


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu platforms``."""
    command.add_argument("names", nargs="*", metavar="NAME", help="platforms, or TOML files of your own; default: all")


def run(options: argparse.Namespace) -> Result:
    """Print the numbers of each platform, and their sources."""
    found = [platform_of(name) for name in options.names or built_in()]
    for platform in found:
        print(f"{platform.name}: {platform.title}")
        for row in platform.table.itertuples():
            print(f"  {row.what}: {range_in_words(row.low, row.high)}\n    {row.source} {row.url}".rstrip())
        print()
    return Result({"platforms": {platform.name: platform.table for platform in found}})
