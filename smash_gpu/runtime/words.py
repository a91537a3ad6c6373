"""Lists of names and near matches, for messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question about the words that look like ``word``; empty if none does."""
    near = get_close_matches(word, [str(k) for k in known])
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def not_one_of(what: str, word: object, known: Iterable[str]) -> str:
    """The message for a word that an option does not take."""
    known = list(known)
    return f"{what}={word!r} is not one of {join_names(known)}.{did_you_mean(str(word), known)}"


def not_an_option(of: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not one of the options of ``of``."""
    known = list(known)
    return f"{of} has no option {name!r}.{did_you_mean(name, known)} Options: {join_names(known)}."


def names_of(names: Iterable[str], what: str) -> tuple[str, ...]:
    """A user's list of names as a tuple.

    Raises
    ------
    TypeError
        If it is a string.
    """
    if isinstance(names, str):
        raise TypeError(f"{what}={names!r} is a string; pass a list of names.")
    return tuple(map(str, names))


LISTED = 40


def join_names(names: Iterable) -> str:
    """The first `LISTED` names, separated by commas, and how many more there are; "none" for none."""
    names = list(map(str, names))
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more or "none"
