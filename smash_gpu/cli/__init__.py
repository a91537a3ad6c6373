"""The command ``smash-gpu``: one module for each of `COMMANDS`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from smash_gpu.cli import (
    check,
    demo,
    evaluate,
    export,
    find,
    groups,
    json_output,
    panel,
    platforms,
    report,
    stability,
    transfer,
    tune,
    validate,
)
from smash_gpu.cli.exit_codes import ExitCode, in_words
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.wording import in_options
from smash_gpu.errors import InfeasibleError
from smash_gpu.models import MODELS
from smash_gpu.runtime import memory
from smash_gpu.runtime.drawing import need_matplotlib
from smash_gpu.runtime.progress import without_lines
from smash_gpu.runtime.words import did_you_mean
from smash_gpu.selection.options import Importance

COMMANDS = (demo, find, panel, validate, export, platforms, evaluate, stability, transfer, tune, report, check)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code, see `smash_gpu.cli.exit_codes`."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for the words that can follow
        import argcomplete

        argcomplete.autocomplete(parser)
    options = parser.parse_args(arguments)
    notes: dict[str, None] = {}
    warnings.showwarning = partial(_note, say=partial(in_options, parser=options.parser), said=notes)
    with json_output.messages(as_json=options.json), without_lines():  # a command prints its results itself
        result = _run(options)
    if options.json:
        json_output.print_object(options.command, result, list(notes))
    return int(result.code)


def _run(options: argparse.Namespace) -> Result:
    """Run the command; an error becomes a message on standard error."""
    try:
        draws = not getattr(options, "no_figures", True)
        if draws and getattr(options, "out", None) is not None:
            need_matplotlib("--no-figures")  # before anything is computed
        with memory.limit(getattr(options, "memory", None)):
            return options.run(options) or Result()
    except (KeyError, ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        said = in_options(str(error), options.parser)
        print(f"smash-gpu: {said}", file=sys.stderr)
        if getattr(error, "errno", None) == ENOSPC:
            print(_after_a_full_disk(options), file=sys.stderr)
        code = ExitCode.INFEASIBLE if isinstance(error, InfeasibleError) else ExitCode.WRONG
        return json_output.failure(error, said, code)
    except Exception as error:  # noqa: BLE001 - has its own exit code, and --json its object
        traceback.print_exc()
        print("smash-gpu: this is a fault of smash-gpu; please report it with these lines.", file=sys.stderr)
        return json_output.failure(error, str(error), ExitCode.FAULT)


def _after_a_full_disk(options: argparse.Namespace) -> str:
    """Free disk space, and what to do."""
    folders = {path.absolute() for path in (options.out, getattr(options, "work", None)) if path is not None}
    there = sorted({next(path for path in (folder, *folder.parents) if path.is_dir()) for folder in folders})
    free = [f"{shutil.disk_usage(path).free / 1e6:,.1f} MB are free in {path}" for path in there]
    again = "the same command continues from --work" if getattr(options, "work", None) else "run the command again"
    return "; ".join([*free, f"make room, and {again}."])


def _note(message: Warning | str, category: type, *_: Any, say: Callable, said: dict[str, None], **__: Any) -> None:
    """Print a warning as a note; each sentence once in a run, however many steps have it."""
    text = say(str(message))
    if issubclass(category, UserWarning) and not issubclass(category, DeprecationWarning) and text not in said:
        said[text] = None
        print(f"note: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Names the words that look like one that it does not know, and prints errors as JSON where that is asked for."""

    words: tuple[str, ...] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """The options, and what is not one."""
        self.words = tuple(sys.argv[1:] if args is None else args)
        found, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            if word.startswith("-"):
                self.error(self._no_option(word))
            if word in MODELS:
                self.error(f"{word!r} stands alone; several models are one word: --model dnn,xgboost.")
            if option := self._takes_one(word):
                self.error(f"{option} takes one value here; {word!r} is one too many.")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the message and end with 2; where an option is missing, name the misspelled one."""
        known = self._option_string_actions
        options = (word.partition("=")[0] for word in self.words if word.startswith("--") and word != "--")
        wrong = [word for word in options if word not in known]
        if "are required" in message and wrong:
            message = f"{message}; {self._no_option(wrong[0])}"
        if "--json" in self.words:
            failed = json_output.failure(argparse.ArgumentError(None, message), message, ExitCode.WRONG)
            json_output.print_object(self.prog.partition(" ")[2], failed, [])
        super().error(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            listed = f"invalid choice: {value!r} (choose from {', '.join(map(str, action.choices))})."
            raise argparse.ArgumentError(action, listed + did_you_mean(str(value), action.choices))

    def _takes_one(self, word: str) -> str | None:
        """The option with a single value that the words up to this one follow."""
        at = self.words.index(word) if word in self.words else 0
        before = [option for option in self.words[:at] if option.startswith("--")]
        action = self._option_string_actions.get(before[-1]) if before else None
        return before[-1] if action is not None and action.nargs is None else None

    def _no_option(self, word: str) -> str:
        near = did_you_mean(word.partition("=")[0], self._option_string_actions)
        return f"there is no option {word}.{near}"


class _Versions(argparse.Action):
    """Looks the versions up when they are asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"nargs": 0, "dest": argparse.SUPPRESS, "default": argparse.SUPPRESS})

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from smash_gpu.runtime import versions

        parser._print_message(f"{versions.in_words()}\n", sys.stdout)  # as --help, also into a closed pipe
        parser.exit()


class _Defaults(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something, and examples line by line."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="smash-gpu",
        description="Marker genes from annotated single-cell data.",
        epilog=in_words(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shown = "versions of this package and of those it uses"
    parser.add_argument("--version", action=_Versions, help=shown)
    names = [command.__name__.rpartition(".")[2] for command in COMMANDS]
    commands = parser.add_subparsers(required=True, metavar=" | ".join(names))
    for name, command in zip(names, COMMANDS, strict=True):
        added = commands.add_parser(
            name,
            help=command.PURPOSE,
            description=f"{command.PURPOSE[0].upper()}{command.PURPOSE[1:]}.",
            formatter_class=_Defaults,
            allow_abbrev=False,
        )
        added.set_defaults(run=command.run, parser=added, command=name)
        what = "print one JSON object with the results, and messages on standard error"
        added.add_argument("--json", action="store_true", help=what)
        out = getattr(command, "OUT", ("DIR", "folder for tables and figures"))
        if out is not None:
            added.add_argument("--out", type=Path, metavar=out[0], help=out[1])
            added.add_argument(
                "--random-state", type=int, default=Importance.random_state, help="seed; same seed, same result"
            )
        command.add_arguments(added)
        groups.set_out(added, name)
    return parser
