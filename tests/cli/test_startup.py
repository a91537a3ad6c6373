"""Help, versions and mistakes in a command are answered without the libraries that read and compute."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smash_gpu.cli import COMMANDS

HEAVY = ("anndata", "dask", "h5py", "joblib", "matplotlib", "numba", "pandas", "psutil", "scanpy", "scipy", "sklearn",
         "torch", "xgboost", "zarr")  # fmt: skip
CHOICE = ("pp", "panel.choice", "panel.problem", "selection.scoring", "selection.steps", "tl._panel", "tl._smash")
NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]
PROGRAM = f"""
import atexit, sys
atexit.register(lambda: print("heavy:", [name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
from smash_gpu.cli import main
sys.exit(main())
"""
MISTAKES = {
    "no command": [],
    "unknown command": ["fnid"],
    "unknown option": ["find", "cells.h5ad", "--groupby", "cell_type", "--modle", "rf"],
    "missing option": ["find", "cells.h5ad"],
    "wrong choice": ["evaluate", "cells.h5ad", "--groupby", "cell_type", "--protocol", "papre"],
    "misspelled model": ["find", "cells.h5ad", "--groupby", "cell_type", "--model", "rff"],
    "not a number": ["tune", "cells.h5ad", "--groupby", "cell_type", "--n-trials", "many"],
    "as JSON": ["panel", "--json", "cells.h5ad", "--gruopby", "cell_type"],
}


def answered(*arguments):
    """The exit code, and the last line on standard error."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in NAMES)], ids=" ".join)
def test_help_and_versions_import_nothing_heavy(arguments):
    assert answered(*arguments) == (0, "heavy: []")


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_without_anything_heavy(arguments):
    assert answered(*arguments) == (2, "heavy: []")


def test_the_import_of_the_package_alone_imports_nothing_heavy():
    code = f"import sys, smash_gpu; print([name for name in {HEAVY} if name in sys.modules], *dir(smash_gpu))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] __version__ datasets")


def test_judging_a_list_imports_nothing_of_the_choice_of_genes(data, tmp_path):
    """Neither do commands that have another purpose; what the step itself needs comes when it is used."""
    (tmp_path / "list.csv").write_text("MARKER0X\nMARKER1X\nMARKER2X\n")
    code = f"""
import sys
from smash_gpu.cli import main
main(["evaluate", {str(data)!r}, "--groupby", "cell_type", "--genes", {str(tmp_path / "list.csv")!r}])
print([name for name in {CHOICE} if "smash_gpu." + name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
