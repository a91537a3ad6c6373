"""What a user sees: names in ``dir``, and nothing else."""

import inspect
import subprocess
import sys

import pytest

import smash_gpu as smg

PUBLIC = {
    "pp",
    "tl",
    "pl",
    "get",
    "export",
    "report",
    "models",
    "paper",
    "platforms",
    "read",
    "settings",
    "datasets",
    "errors",
    "__version__",
}
MODULES = [name for name in sorted(PUBLIC) if inspect.ismodule(getattr(smg, name))]


def test_the_package_shows_what_a_user_may_call_and_nothing_else():
    assert set(dir(smg)) == PUBLIC == set(smg.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_shows_what_a_user_may_call_and_nothing_else(name):
    module = getattr(smg, name)
    assert dir(module) == sorted(module.__all__) == sorted(set(module.__all__))
    for inside in module.__all__:
        assert not inside.startswith("_") and not inspect.ismodule(getattr(module, inside))


def test_every_function_of_a_public_module_that_is_not_shown_is_private_or_imported():
    for module in (getattr(smg, name) for name in MODULES if name != "models"):
        own = [name for name, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
        assert {name for name in own if not name.startswith("_")} <= {*module.__all__, "warn"}


def test_tab_completion_after_a_bare_import():
    code = "import smash_gpu; print(*sorted(name for name in dir(smash_gpu)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == PUBLIC
