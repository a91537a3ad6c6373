"""The recipes of CONTRIBUTING.md, followed word by word in a copy of the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_house import WINGS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PYTHON = ".venv-test/bin/python"
BLOCK = re.compile(r"`([^`\n]+)`(?: \((new|at the end)\))?:\n\n```(\w+)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def sections(text, level):
    """Text by heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


RECIPES = sections(sections(TEXT, 2)["Five recipes"], 3)


@pytest.fixture
def copy(tmp_path):
    """What git would check out, with the changes that are not committed yet."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edited(text, hunk):
    """``text`` after one hunk of a diff; what it takes away or leaves stands in ``text`` exactly once."""
    lines = hunk.rstrip("\n").split("\n")
    assert {line[:1] for line in lines} <= {" ", "+", "-", ""}, hunk
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"{text.count(before)} places for\n{before}"
    return text.replace(before, after)


def follow(recipe, folder):
    for name, how, language, content in BLOCK.findall(recipe):
        path = folder / name
        if how == "new":
            assert not path.exists(), name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        elif how == "at the end":
            path.write_text(f"{path.read_text()}\n\n{content}")
        else:
            assert language == "diff", name
            for hunk in content.split("@@\n"):
                path.write_text(edited(path.read_text(), hunk))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works_as_it_is_written(name, copy):
    follow(RECIPES[name], copy)
    commands = [line for block in COMMAND.findall(RECIPES[name]) for line in block.splitlines()]
    assert commands
    for command in commands:
        assert command.startswith(f"{PYTHON} -m ")
        arguments = [sys.executable, *shlex.split(command)[1:]]
        environment = os.environ | {"PYTHONPATH": str(copy)}
        ended = subprocess.run(arguments, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
        assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]


def test_there_are_five_recipes_with_code_and_a_command_each():
    assert len(RECIPES) == 5
    for name, recipe in RECIPES.items():
        assert BLOCK.search(recipe), name
        assert COMMAND.search(recipe), name


def test_files_and_folders_that_it_names_exist():
    outside = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    made = {name for name, how, *_ in BLOCK.findall(TEXT) if how == "new"}
    named = set(re.findall(r"`((?:smash_gpu|tests|kernels|benchmarks|docker|docs|\.ci|\.github)/[\w./-]*)`", outside))
    assert named
    missing = [name for name in sorted(named - made) if not (ROOT / name).exists()]
    assert not missing


def test_its_layers_are_those_that_are_checked():
    rows = re.findall(r"^\| \d+ \| (.*?) \|", TEXT, re.MULTILINE)
    layers = [set(re.findall(r"smash_gpu/(\w+)", row)) for row in rows]
    assert layers[::-1] == WINGS
