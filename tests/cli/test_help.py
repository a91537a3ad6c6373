"""What ``--help`` shows, ``python -m smash_gpu``, and completion in a shell."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

import pytest

from smash_gpu.cli import COMMANDS, _parser
from smash_gpu.cli.groups import EXAMPLES, GROUPS

NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]
PARSERS = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices


def test_every_group_names_options_that_there_are_and_none_twice():
    named = [name for names in GROUPS.values() for name in names]
    assert len(set(named)) == len(named)
    assert set(named) <= {action.dest for parser in PARSERS.values() for action in parser._actions}


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_every_option_once_most_of_them_in_groups(name):
    parser = PARSERS[name]
    shown = [action for group in parser._action_groups for action in group._group_actions]
    assert sorted(map(id, shown)) == sorted(map(id, parser._actions))
    assert len(parser._optionals._group_actions) <= 4  # --help among them
    said = parser.format_help()
    for title in [group.title for group in parser._action_groups if group.title in GROUPS]:
        assert said.count(f"\n{title}:\n") == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_usage_is_a_line_with_what_is_needed(name):
    first, second = PARSERS[name].format_help().splitlines()[:2]
    assert first.startswith(f"usage: smash-gpu {name}") and first.endswith("[options]") and not second
    assert [a.option_strings[0] in first for a in PARSERS[name]._actions if a.required and a.option_strings] in (
        [], [True], [True, True]
    )  # fmt: skip


def test_every_command_has_examples_that_it_takes():
    assert list(EXAMPLES) == NAMES
    for name, examples in EXAMPLES.items():
        said = PARSERS[name].format_help()
        for example in examples:
            assert f"\n  smash-gpu {example}\n" in said and len(example) < 110
            assert _parser().parse_args(shlex.split(example)).command == name


def test_the_package_is_a_program_too():
    done = subprocess.run([sys.executable, "-m", "smash_gpu", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: smash-gpu ") and "validate" in done.stdout


@pytest.mark.parametrize(
    ("typed", "follow"),
    [("pan", {"panel"}), ("export --form", {"--format"}), ("find x.h5ad --model x", {"xgboost"})],
    ids=["a command", "an option", "a value"],
)
def test_a_shell_completes_commands_options_and_values(typed, follow, tmp_path):
    pytest.importorskip("argcomplete")
    line, out = f"smash-gpu {typed}", tmp_path / "words"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(out)}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    subprocess.run([sys.executable, "-m", "smash_gpu"], env=os.environ | asked, capture_output=True, check=True)
    assert set(out.read_text().split()) == follow
