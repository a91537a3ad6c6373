"""The guide for scripts and assistants in the wheel: what it names is there, and its examples run in their order."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import smash_gpu as smg
from smash_gpu.cli import COMMANDS, _parser
from smash_gpu.cli.exit_codes import MEANING

GUIDE = (files("smash_gpu") / "AGENTS.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", GUIDE, re.MULTILINE | re.DOTALL))
EXAMPLES = {name: re.search(r"^smash-gpu (.*)$", text, re.MULTILINE)[1] for name, text in SECTIONS.items()}
ALWAYS = {"command", "exit_code", "notes"}
MAY_SAY_NO = {"validate", "check"}
ROOT = Path(__file__).parents[2]


def parsers():
    return next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices


def named_fields(section):
    return set(re.findall(r"`(\w+)`(?! --)", section.partition("Fields: ")[2]))


def test_every_command_has_a_section_with_an_example_of_its_own():
    assert set(SECTIONS) == {command.__name__.rpartition(".")[2] for command in COMMANDS} == set(parsers())
    assert all(example.startswith(f"{name} ") and example.endswith(" --json") for name, example in EXAMPLES.items())


@pytest.mark.parametrize("name", SECTIONS)
def test_every_option_that_is_named_is_one_of_the_command(name):
    text = re.sub(r"`\w+ --[\w-]+`", "", SECTIONS[name])  # an option of another command stands with its name
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= set(parsers()[name]._option_string_actions)


def test_options_that_are_named_with_a_command_or_in_general_are_there():
    for command, option in re.findall(r"`(\w+) (--[\w-]+)`", GUIDE):
        assert option in parsers()[command]._option_string_actions, (command, option)
    known = {option for parser in parsers().values() for option in parser._option_string_actions}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) <= known


def test_the_exit_codes_are_those_of_the_package():
    rows = re.findall(r"^\| (\d) \| (.*) \|$", GUIDE, re.MULTILINE)
    assert {int(code): meaning.replace(" `validate`", "") for code, meaning in rows} == {
        code.value: meaning for code, meaning in MEANING.items()
    }


def test_it_is_one_page_and_in_the_wheel():
    assert GUIDE.count("\n") < 170
    if (ROOT / "pyproject.toml").exists():  # the wheel holds every file of the folder; .ci/wheel compares it with git
        wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert "smash_gpu" in wheel["only-include"] and "exclude" not in wheel
        assert (ROOT / "smash_gpu" / "AGENTS.md").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_examples_run_in_their_order_and_give_the_fields_that_are_named(run, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    smg.datasets.planted().write_h5ad("cells.h5ad")
    for name, example in EXAMPLES.items():
        code, out, error = run(*shlex.split(example))
        assert code in ((0, 1) if name in MAY_SAY_NO else (0,)), error
        found = json.loads(out)
        assert set(found) - ALWAYS == named_fields(SECTIONS[name]), name
        assert all(Path(path).exists() for path in found.get("written", []))
