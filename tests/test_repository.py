"""Around the package: one version per tool and release, the same scripts in CI and on GitHub, complete issue forms."""

import platform
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from jinja2 import Template
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = {
    "igraph": "python-igraph",
    "matplotlib": "matplotlib-base",
    "xgboost-cpu": "py-xgboost",
}  # names of conda-forge
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIELDS = {"textarea", "input", "dropdown", "checkboxes", "markdown"}


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


def recipe():
    text = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(Template(text).render(PYTHON="python"))


def steps(workflow):
    return [step["run"] for job in read(workflow)["jobs"].values() for step in job["steps"] if "run" in step]


def anchors(page):
    """Anchors of the headings of a page, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", ["README.md", "kernels/README.md"])
def test_links_of_a_page_lead_to_files_and_headings(name):
    page = ROOT / name
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_renders_on_the_package_index():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert not re.search(r"!\[[^]]*\]\((?!https://)", text), "an image without an absolute link"


def test_pre_commit_and_the_lint_extra_name_the_same_versions():
    pinned = dict(requirement.split("==") for requirement in PROJECT["project"]["optional-dependencies"]["lint"])
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


def test_the_newest_release_is_named_alike_and_the_next_one_is_not_older():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(
        r"^## (\d+\.\d+\.\d+)|^Nothing has been released yet\. .* becomes (\S+)\.$", changelog, re.MULTILINE
    )
    released = newest[1] or newest[2]
    assert read("CITATION.cff")["version"] == read("scverse/meta.yaml")["version"] == released
    assert recipe()["package"]["version"] == released
    following = PROJECT["tool"]["hatch"]["version"]["fallback-version"]
    assert following.endswith(".dev0") and Version(Version(following).base_version) >= Version(released)


def test_every_place_names_the_same_licence_and_package():
    project, entry = PROJECT["project"], read("scverse/meta.yaml")
    assert read("CITATION.cff")["license"] == entry["license"] == recipe()["about"]["license"] == project["license"]
    assert entry["name"] == entry["install"]["pypi"] == recipe()["package"]["name"] == project["name"]
    assert recipe()["about"]["summary"] == project["description"]
    command = project["scripts"]["smash-gpu"]
    assert recipe()["build"]["entry_points"] == [f"smash-gpu = {command}"]


def test_the_conda_recipe_needs_what_the_package_needs_on_a_cpu():
    project, needs = PROJECT["project"], recipe()["requirements"]
    wanted = [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["cpu"]]
    wanted = {CONDA.get(r.name, r.name): r.specifier for r in wanted if r.marker is None or "!=" in str(r.marker)}
    assert {r.name: r.specifier for r in map(Requirement, needs["run"])} == wanted | {
        "python": SpecifierSet(project["requires-python"])
    }
    build = {r.name: r.specifier for r in map(Requirement, PROJECT["build-system"]["requires"])}
    assert build.items() <= {r.name: r.specifier for r in map(Requirement, needs["host"])}.items()


def test_the_entry_for_the_registry_has_the_fields_that_are_mandatory():
    entry = read("scverse/meta.yaml")
    assert set(entry) >= {"name", "description", "project_home", "documentation_home", "install", "license", "tags",
                          "version", "category", "contact"}  # fmt: skip
    assert entry["category"] == "ecosystem" and entry["primary_category"] == "Spatial"


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
