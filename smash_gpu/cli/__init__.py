"""``smash-gpu demo | find | panel | evaluate | report | check``."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import Any

from smash_gpu.cli import check, demo, evaluate, find, panel, report
from smash_gpu.cli.wording import in_options
from smash_gpu.runtime import memory, versions
from smash_gpu.runtime.progress import LOG
from smash_gpu.runtime.words import did_you_mean
from smash_gpu.selection.options import Importance

COMMANDS = (demo, find, panel, evaluate, report, check)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success, 2 after an error message, and the code of ``check``."""
    options = _parser().parse_args(arguments)
    say = partial(in_options, parser=options.parser)
    warnings.showwarning = partial(_note, say=say, said=set())
    LOG.setLevel(logging.WARNING)  # a command prints its results itself
    try:
        with memory.limit(getattr(options, "memory", None)):
            return options.run(options) or 0
    except (KeyError, ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        print(f"smash-gpu: {say(str(error))}", file=sys.stderr)
        if getattr(error, "errno", None) == ENOSPC:
            print(_after_a_full_disk(options), file=sys.stderr)
        return 2


def _after_a_full_disk(options: argparse.Namespace) -> str:
    """Free disk space, and what to do."""
    folders = {path.absolute() for path in (options.out, getattr(options, "work", None)) if path is not None}
    there = sorted({next(path for path in (folder, *folder.parents) if path.is_dir()) for folder in folders})
    free = [f"{shutil.disk_usage(path).free / 1e6:,.1f} MB are free in {path}" for path in there]
    again = "the same command continues from --work" if getattr(options, "work", None) else "run the command again"
    return "; ".join([*free, f"make room, and {again}."])


def _note(message: Warning | str, category: type, *_: Any, say: Callable, said: set[str], **__: Any) -> None:
    """Print a warning as a note; each sentence once in a run, however many steps have it."""
    text = say(str(message))
    if issubclass(category, UserWarning) and not issubclass(category, DeprecationWarning) and text not in said:
        said.add(text)
        print(f"note: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Names the options that look like one that it does not know."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """The options, and what is not one."""
        found, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            if word.startswith("-"):
                near = did_you_mean(word.partition("=")[0], self._option_string_actions)
                self.error(f"there is no option {word}.{near}")
        return found, unknown


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="smash-gpu",
        description="Marker genes from annotated single-cell data.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown = "versions of this package and of those it uses"
    parser.add_argument("--version", action="version", version=versions.in_words(), help=shown)
    names = [command.__name__.rpartition(".")[2] for command in COMMANDS]
    commands = parser.add_subparsers(required=True, metavar=" | ".join(names))
    for name, command in zip(names, COMMANDS, strict=True):
        added = commands.add_parser(name, help=command.PURPOSE, formatter_class=_Defaults)
        added.set_defaults(run=command.run, parser=added)
        out = getattr(command, "OUT", ("DIR", "folder for tables and figures"))
        if out is not None:
            added.add_argument("--out", type=Path, metavar=out[0], help=out[1])
            added.add_argument(
                "--random-state", type=int, default=Importance.random_state, help="seed; same seed, same result"
            )
        command.add_arguments(added)
    return parser
