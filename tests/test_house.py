"""The house keeps its shape: floors, signatures, small functions, light imports, a twin for every kernel."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import smash_gpu as smg

PACKAGE = Path(smg.__file__).parent
KERNELS = next(d for d in (PACKAGE / "kernels", PACKAGE.parent / "kernels") if d.is_dir())
WINGS = [  # from the lowest to the highest; the wings of one line do not import each other
    {"errors"},
    {"datasets", "genes"},
    {"compute"},
    {"runtime"},
    {"io"},
    {"blocks"},
    {"data"},
    {"annotated"},
    {"panel", "evaluation", "models"},
    {"selection"},
    {"get"},
    {"pp", "tl"},
    {"pl", "export"},
    {"report"},
    {"cli"},
]
HEAVY = ("torch", "shap", "xgboost", "cuml", "cudf", "rapids_singlecell", "scanpy", "matplotlib", "sklearn", "imblearn",
         "scipy.optimize", "scipy.stats")  # fmt: skip
PUBLIC = [(module.__name__, name, f) for module in (smg.pp, smg.tl, smg.pl, smg.get)
          for name, f in inspect.getmembers(module, inspect.isfunction)
          if f.__module__.startswith(module.__name__) and not name.startswith("_")]  # fmt: skip


def sources():
    return [(path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))]


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def module_name(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def dotted(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imported(tree, modules):
    """The modules of the package that are imported anywhere in a file, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "smash_gpu":
            below = node.module.partition(".")[2]
            for alias in node.names:
                longer = f"{below}.{alias.name}".strip(".")
                yield longer if longer in modules else below


def graph():
    doors = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
    modules = {dotted(path): tree for path, tree in sources() if path not in doors}
    return {name: set(imported(tree, modules)) - {name, ""} for name, tree in modules.items()}


def test_every_module_is_in_a_wing_and_no_import_runs_up():
    floor = {name: number for number, names in enumerate(WINGS) for name in names}
    below = graph()
    assert {name.partition(".")[0] for name in below} == set(floor)
    wrong = [
        f"{name} imports {other}"
        for name, others in below.items()
        for other in others
        if (a := name.partition(".")[0]) != (b := other.partition(".")[0]) and floor[b] >= floor[a]
    ]
    assert not wrong


def test_no_file_imports_itself_through_others():
    below = graph()

    def walk(name, way):
        assert name not in way, " → ".join((*way[way.index(name) :], name))
        if name not in cleared:
            for other in below[name]:
                walk(other, (*way, name))
            cleared.add(name)

    cleared = set()
    for name in below:
        walk(name, ())


def test_no_function_is_over_50_lines_and_no_file_over_300():
    for path, tree in sources():
        assert path.read_text().count("\n") <= 300, path
        for f in functions(tree):
            body = f.body[1:] if ast.get_docstring(f) else f.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{path}:{f.lineno} {f.name} has {length} lines"


def test_no_file_of_tests_is_over_300_lines():
    lengths = {path: path.read_text().count("\n") for path in Path(__file__).parent.rglob("*.py")}
    assert {path: n for path, n in lengths.items() if n > 300} == {}


@pytest.mark.parametrize(("module", "name", "function"), PUBLIC, ids=[f"{m}.{n}" for m, n, _ in PUBLIC])
def test_public_functions_take_adata_and_at_most_one_more_positional(module, name, function):
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if name == "transfer" and module == "smash_gpu.tl":  # of two data sets
        assert [p.name for p in positional] == ["reference", "tissue", "groupby"]
    else:
        assert parameters[0].name == "adata"
        assert len(positional) <= 2
    assert not {"copy", "inplace"} & {p.name for p in parameters}


def test_nothing_prints_but_the_command_line():
    for path, tree in sources():
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"]
        assert module_name(path) == "cli" or not calls, path


def test_cupy_is_imported_in_one_place():
    users = [p.name for p, tree in sources() for n in ast.walk(tree)
             if isinstance(n, ast.Import) and any(a.name.startswith("cupy") for a in n.names)]  # fmt: skip
    assert users == ["xp.py"]


def test_the_import_of_all_parts_loads_nothing_heavy():
    parts = "from smash_gpu import datasets, errors, export, get, models, paper, pl, platforms, pp, read, tl"
    code = f"import sys; {parts}; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_global_random_state_is_never_seeded():
    for path, tree in sources():
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not calls & {"np.random.seed", "random.seed"}, path
        if "torch.manual_seed" in calls:
            assert "torch.random.fork_rng" in calls, path


def test_every_kernel_has_a_launcher_a_twin_and_a_test():
    for kernel in KERNELS.glob("*.cu"):
        for place in (
            PACKAGE / "compute/cuda.py",
            PACKAGE / "compute/ops.py",
            Path(__file__).parent / "kernels" / f"test_{kernel.stem}.py",
        ):
            assert kernel.stem in place.read_text(), f"{kernel.stem} is missing in {place.name}"
    assert not list(KERNELS.glob("*.py"))
