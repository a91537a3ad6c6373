"""Messages of the functions in the words of the command line: ``use_raw=True`` is ``--use-raw`` there."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

VALUE = r"""'[^']*'|"[^"]*"|\[[^][]*\]|\([^()]*\)|[-\w.]*\w"""
LIMITS = re.compile(r"(?<![\w.'\"])limits=(?:\{'([^']*)': \(([^(),]*), ([^(),]*)\)\})?")
RAW_AS_DATA = re.compile(r"adata\.raw\.to_adata\(\) instead of adata\b(?:, or .*? do(?:es)?\b)?")


def in_options(message: str, parser: argparse.ArgumentParser) -> str:
    """The message with ``name=value`` as an option of the command, where it has such an option."""
    actions: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:
        if action.option_strings and not action.option_strings[0].startswith("--no-"):
            actions.setdefault(action.dest, []).append(action)
    names = "|".join(map(re.escape, sorted(actions, key=len, reverse=True)))
    with_value = re.compile(rf"(?<![\w.'\"])({names})=({VALUE})?(?!\w)")
    message = RAW_AS_DATA.sub("--use-raw", message)
    if "limit" in actions:
        message = LIMITS.sub(_limit, message)
    message = with_value.sub(lambda found: _option(found, actions[found[1]]), message)
    without = re.compile(rf"\b(leave (?=(?:{names}) out\b)|omit )({names})\b(?! *=)", re.IGNORECASE)
    return without.sub(lambda found: found[1] + _bare(actions[found[2]]), message)


def table_in_options(table: pd.DataFrame, column: str, parser: argparse.ArgumentParser) -> pd.DataFrame:
    """The table with one column of sentences as `in_options` has them."""
    return table.assign(**{column: [in_options(said, parser) for said in table[column]]})


def _option(found: re.Match, actions: list[argparse.Action]) -> str:
    """One option with its value; the text itself where no option means that."""
    value = found[2] or ""
    if actions[0].nargs == 0:
        says = {str(action.const): action.option_strings[0] for action in actions}
        return says.get(value, says.get("True", found[0]) if not value else found[0])
    words = re.findall(r"[^\s,'\"\[\]()]+", value) if value[:1] in "[(" else [value.strip("'\"")]
    if actions[0].nargs == 2:
        words = ["-" if word == "None" else word for word in words]  # an open end of a range
    return " ".join([actions[0].option_strings[0], *(_quoted(word) for word in words if word)])


def _limit(found: re.Match) -> str:
    """A range of a column, or the bare option."""
    words = (
        [] if found[1] is None else [_quoted(found[1]), *("-" if end == "None" else end for end in found.groups()[1:])]
    )
    return " ".join(["--limit", *words])


def _bare(actions: list[argparse.Action]) -> str:
    return " and ".join(action.option_strings[0] for action in actions)


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"\s", word) else word
