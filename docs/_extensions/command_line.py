"""Writes the page of the command line from its parser, so that the two cannot differ."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path("generated") / "command-line.md"
OPTION_IN_TEXT = re.compile(r"(?<![\w`-])(--?[a-z][a-z0-9-]*)")
MARKED = re.compile(r"([*_\[\]<>|{}$\\])")


def write(app: Any) -> None:
    """Write the page where it is not there yet or has changed."""
    page, text = Path(app.srcdir) / PAGE, content()
    page.parent.mkdir(exist_ok=True)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def content() -> str:
    """Markdown with one section per command."""
    from smash_gpu import cli

    parser = cli._parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    purposes = {choice.dest: choice.help for choice in commands._choices_actions}
    lines: list[str] = []
    for name, command in commands.choices.items():
        lines += section(name, purposes[name], command)
    return "\n".join(lines) + "\n"


def section(name: str, purpose: str, command: argparse.ArgumentParser) -> Iterator[str]:
    """Purpose, usage, options by group, and what the help says at its end."""
    yield from [f"## {name}", "", sentence(purpose), ""]
    if command.description and sentence(command.description) != sentence(purpose):
        yield from [in_text(command.description), ""]
    if command.epilog:
        lines = [line.strip() for line in command.epilog.strip().splitlines()]
        yield from ["```bash", *lines[lines[0] == "examples:" :], "```", ""]
    yield from [f"```{{program}} smash-gpu {name}\n```", ""]
    for group in command._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS and a.dest != "help"]
        if actions:
            yield from [f"### {title(name, group.title)}", ""]
            for action in actions:
                yield from option(command, action)


def title(name: str, group: str) -> str:
    """A heading that occurs once."""
    return f"{name}: {group.replace('positional arguments', 'arguments')}"


def option(command: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    """An entry with a link of its own."""
    formatter = command._get_formatter()
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    names = action.option_strings or [formatter._metavar_formatter(action, action.dest)(1)[0]]
    shown = [f"{name} {value}".strip() for name in names] if action.option_strings and action.nargs != 0 else names
    said = formatter._expand_help(action) if action.help else ""
    yield from [f"````{{option}} {', '.join(shown)}", in_text(said), "````", ""]


def in_text(help_text: str) -> str:
    """Help as Markdown: nothing in it is markup, and options are code."""
    return OPTION_IN_TEXT.sub(r"`\1`", MARKED.sub(r"\\\1", help_text))


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return in_text(text[0].upper() + text[1:].rstrip(".") + ".")


def setup(app: Any) -> dict[str, bool]:
    """Connect."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
