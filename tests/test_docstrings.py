"""Every public function is described whole, and its example runs."""

import ast
import doctest
import inspect
import re
import textwrap
from dataclasses import fields

import pytest

import smash_gpu as smg
from smash_gpu.panel import Request

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = {name: getattr(smg, name) for name in ("pp", "tl", "get", "pl", "export", "report", "datasets", "errors")}
PUBLIC = {f"{name}.{inside}": getattr(module, inside) for name, module in MODULES.items() for inside in module.__all__}
CLASSES = {f"models.{name}": getattr(smg.models, name) for name in ("Forest", "Boosted", "Network")}
FOR_OWN_MODELS = {
    f"models.{name}": getattr(smg.models, name) for name in ("Choice", "Facts", "Model", "ModelInfo", "Range")
}
PUBLIC |= (
    {"read": smg.read, "paper": smg.paper, "platforms": smg.platforms, "settings": type(smg.settings)}
    | CLASSES
    | FOR_OWN_MODELS
)
FUNCTIONS = {name: one for name, one in PUBLIC.items() if inspect.isfunction(one)}
COMPUTING = [name for name in FUNCTIONS if name.startswith(("pp.", "tl.")) or name == "paper"]


def sections(function):
    """Name of each section of a NumPy docstring → its text."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", inspect.getdoc(function), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(text):
    """The names that a section describes, and the description of each."""
    found, names = {}, []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
            found |= dict.fromkeys(names, "")
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_in_the_signature_and_an_entry_of_its_own(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert not [p for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    described = entries(sections(FUNCTIONS[name]).get("Parameters", ""))
    assert list(described) == list(parameters)
    assert all(len(text.split()) >= 2 for text in described.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_used(name):
    body = ast.parse(textwrap.dedent(inspect.getsource(FUNCTIONS[name]))).body[0].body
    used = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    assert set(inspect.signature(FUNCTIONS[name]).parameters) <= used


def test_every_field_of_a_request_is_an_option_of_the_panel():
    assert {field.name for field in fields(Request)} <= set(inspect.signature(smg.tl.panel).parameters)


@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_of_a_model_is_an_entry_of_its_own(name):
    found = sections(CLASSES[name])
    assert list(entries(found["Parameters"])) == list(inspect.signature(CLASSES[name]).parameters)
    assert ">>> " in found["Examples"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_errors_and_an_example_are_described(name):
    found = sections(FUNCTIONS[name])
    assert {"Returns", "Raises", "Examples"} <= set(found)
    assert ">>> " in found["Examples"]
    for error in entries(found["Raises"]):
        assert isinstance(eval(error, {"smash_gpu": smg}), type), error


@pytest.mark.parametrize("name", COMPUTING)
def test_a_function_that_computes_names_its_source(name):
    assert sections(FUNCTIONS[name])["References"].strip()


def test_help_of_every_public_thing_shows_an_example():
    everything = {
        f"{name}.{inside}": getattr(module, inside) for name, module in MODULES.items() for inside in module.__all__
    }
    assert everything.items() <= PUBLIC.items() and {f"models.{name}" for name in smg.models.__all__} - set(PUBLIC) == {
        "models.MODELS"
    }
    assert [name for name, one in PUBLIC.items() if ">>> " not in inspect.getdoc(one)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_runs(name):
    if PUBLIC[name] is smg.models.Network:
        pytest.importorskip("torch")
    if "tl.tune(" in PUBLIC[name].__doc__:
        pytest.importorskip("optuna")
    tests = doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name, globs={})
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    out = []
    for test in tests:
        runner.run(test, out=out.append)
    assert not runner.failures, "".join(out)
