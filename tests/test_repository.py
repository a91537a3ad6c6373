"""Around the package: one version per tool, CI and GitHub run the same scripts, issue forms are complete."""

import platform
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from smash_gpu import cli

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(p for p in (ROOT / ".ci").iterdir())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.name != "config.yml")
TOOLS = {
    "ruff-pre-commit": "ruff",
    "mirrors-clang-format": "clang-format",
    "codespell": "codespell",
    "taplo-pre-commit": "taplo",
}
FIELDS = {"textarea", "input", "dropdown", "checkboxes", "markdown"}


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


def steps(workflow):
    return [step["run"] for job in read(workflow)["jobs"].values() for step in job["steps"] if "run" in step]


def test_pre_commit_and_the_lint_extra_name_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(requirement.split("==") for requirement in project["optional-dependencies"]["lint"])
    repositories = read(".pre-commit-config.yaml")["repos"]
    hooks = {TOOLS[r["repo"].rpartition("/")[2]]: r["rev"].removeprefix("v") for r in repositories}
    assert hooks == {tool: version for tool, version in pinned.items() if tool != "mypy"}


def test_github_runs_the_scripts_of_ci_and_no_commands_of_its_own():
    assert WORKFLOWS
    run = {command.split()[0] for path in WORKFLOWS for command in steps(path)}
    assert run <= {f".ci/{path.name}" for path in SCRIPTS}
    everything = set(re.findall(r"^\./(\w+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert {f".ci/{name}" for name in everything} <= run


@pytest.mark.parametrize("script", SCRIPTS, ids=[p.name for p in SCRIPTS])
def test_a_script_is_executable_and_parses(script):
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("form", FORMS, ids=[p.stem for p in FORMS])
def test_issue_forms_are_what_github_takes(form):
    content = read(form)
    assert {"name", "description", "body"} <= set(content)
    assert {field["type"] for field in content["body"]} <= FIELDS
    ids = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert len(set(ids)) == len(ids)
    for field in content["body"]:
        assert field["attributes"].get("label") or field["type"] == "markdown"
        assert field["type"] not in {"dropdown", "checkboxes"} or field["attributes"]["options"]


def test_the_citation_and_the_project_name_the_same_version_and_licence():
    citation = read("CITATION.cff")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_the_command_that_the_forms_ask_for_prints_versions(capsys):
    asking = [form for form in FORMS if "smash-gpu --version" in form.read_text()]
    assert len(asking) == 2
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    lines = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["smash-gpu"] == version("smash-gpu")
    assert lines["Python"] == platform.python_version()
    assert {"anndata", "numpy", "zarr"} <= set(lines)
