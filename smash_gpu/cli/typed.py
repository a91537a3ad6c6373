"""The options that a command was given: kept in its params.json, and taken over by the next command."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

COMMAND = "command"  # in params.json
PARAMS = "params.json"
OF_EACH = ("json", "out", "no_figures", "title", "random_state", "work", "help", "device", "memory")  # not taken over


def given(parser: argparse.ArgumentParser) -> set[str]:
    """The names of the options that were typed."""
    known = parser._option_string_actions
    words = [word.partition("=")[0] for word in parser.words]  # type: ignore[attr-defined]
    return {known[word].dest for word in words if word in known}


def of_command(options: argparse.Namespace) -> dict[str, Any]:
    """The files and options that were typed, by name; paths from the root."""
    names = sorted({"data", *given(options.parser)} - set(OF_EACH))
    return {name: _from_root(name, getattr(options, name)) for name in names}


def taken_over(options: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """The options, with those that ``smash-gpu panel --out`` kept in the folder where none is typed; prints any.

    Raises
    ------
    ValueError
        If the folder is of no such command.
    """
    kept, parser = _kept(folder), options.parser
    actions = {action.dest: action for action in parser._actions if action.option_strings}
    mine = {name: kept[name] for name in kept if name in actions and name not in given(parser)}
    values = {name: _as_typed(actions[name], value) for name, value in mine.items()}
    words = [word for name, value in values.items() for word in _words(parser, actions[name], value)]
    if words:
        print(f"as in {folder / PARAMS}: {shlex.join(words)}")
    return argparse.Namespace(**vars(options) | values)


def _kept(folder: Path) -> dict[str, Any]:
    path = folder / PARAMS
    try:
        return json.loads(path.read_text(encoding="utf-8"))[COMMAND]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder} is a folder, but not one that smash-gpu panel --out wrote, or from an earlier version: it has "
            f"no {PARAMS} with the options of the command. Give a file."
        ) from None


def _from_root(name: str, value: Any) -> Any:
    """A path, or several, from the root; a platform may be a file, too."""
    if isinstance(value, list | tuple):
        return [_from_root(name, one) for one in value]
    is_file = isinstance(value, Path) or (name == "platform" and str(value).lower().endswith(".toml"))
    return str(Path(value).absolute()) if is_file else value


def _as_typed(action: argparse.Action, value: Any) -> Any:
    """A value of JSON as the option has it; a path as it is typed in this folder."""
    if action.type is not Path:
        return value
    return [_from_here(one) for one in value] if isinstance(value, list) else _from_here(value)


def _from_here(path: str) -> Path:
    here = Path.cwd()
    return Path(path).relative_to(here) if Path(path).is_relative_to(here) else Path(path)


def _words(parser: argparse.ArgumentParser, action: argparse.Action, value: Any) -> list[str]:
    """The option as it is typed."""
    option = action.option_strings[0]
    if action.nargs == 0:
        return [one.option_strings[0] for one in parser._actions if (one.dest, one.const) == (action.dest, value)]
    if isinstance(action, argparse._AppendAction):
        return [word for one in value for word in (option, *map(str, one))]
    values = value if isinstance(value, list) else [value]
    return [option, *map(_text, values)]


def _text(value: Any) -> str:
    if value is None:
        return "-"  # an open end of a range
    return f"{value:g}" if isinstance(value, float) else str(value)
