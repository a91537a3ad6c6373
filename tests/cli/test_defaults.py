"""The command line has the defaults and the choices of the functions that it calls."""

import argparse
import inspect

import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu.annotated.source import EARLIER, Source
from smash_gpu.cli import COMMANDS, _parser
from smash_gpu.compute.device import resolve_device
from smash_gpu.evaluation import Splitting, classifiers
from smash_gpu.genes.lists import GeneNames
from smash_gpu.panel import Request
from smash_gpu.selection.options import PANEL_GENES, Filters, Importance
from smash_gpu.tl._evaluate import structure_of

CALLS = {
    "demo": (smg.tl.smash, smg.pp.filter_genes, smg.tl.evaluate),
    "find": (smg.tl.smash, smg.pp.filter_genes),
    "panel": (smg.tl.panel, smg.export.xenium, smg.export.xenium_reference),
    "validate": (smg.tl.validate, smg.report.write_validation),
    "export": (smg.export.xenium, smg.export.design_sheet),
    "platforms": (),
    "evaluate": (smg.tl.evaluate, smg.tl.panel),
    "stability": (smg.tl.stability, smg.tl.smash, smg.pp.filter_genes, smg.tl.panel),
    "transfer": (smg.tl.transfer, smg.tl.panel, smg.pl.transfer_map, smg.report.write_transfer),
    "report": (smg.tl.smash, smg.pp.filter_genes, smg.tl.evaluate, smg.tl.stability, smg.report.write),
    "check": (),
    "tune": (smg.tl.tune, smg.pp.filter_genes),
}
OPPOSITE = {"no_figures": "figures"}
OTHER_NAMES = {
    "limit": "limits", "quota": "quotas", "wanted": "priorities", "spare": "priorities",
}  # fmt: skip
REQUIRED = {"tissue", "data", "groupby", "list", "names", "result", "format"}
OF_THE_COMMAND_LINE = {
    "help", "json", "out", "paper", "again", "column_weights", "gene_table", "xenium_reference", "tables",
    "select", "transcript_lengths", "no_figures", "panel", "tuned",
}  # fmt: skip
ON_PURPOSE = {
    ("demo", "n_genes"): PANEL_GENES,
    ("find", "n_genes"): PANEL_GENES,
    ("report", "n_splits"): 5,
    ("report", "n_random"): 3,
    ("report", "n_resamples"): 0,
}
CHECKS = {
    "model": lambda word: Importance(model=word),
    "species": lambda word: Filters(species=word),
    "exclude_families": lambda word: Request(exclude_families=(word,)),
    "device": lambda word: resolve_device(word) if word != "cuda" else None,
    "classifier": classifiers.check,
    "protocol": lambda word: Splitting(protocol=word),
    "variation_target": lambda word: Request(variation=0.1, variation_target=word),
    "structure": structure_of,
    "missing": lambda word: GeneNames(np.array([]), np.array([])).numbers([], "genes", missing=word),
}


def options():
    """Command, option of it, for all commands."""
    names = [command.__name__.rpartition(".")[2] for command in COMMANDS]
    parsers = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    assert list(parsers) == names and set(names) == set(CALLS)
    return [(name, action) for name, parser in parsers.items() for action in parser._actions]


OPTIONS = options()
WITH_DEFAULT = [(name, action) for name, action in OPTIONS if action.dest not in REQUIRED | OF_THE_COMMAND_LINE]
WITH_CHOICES = [
    (name, action) for name, action in OPTIONS if action.choices and action.dest not in ("tables", "format")
]


def named(pairs):
    return [f"{name} {action.dest}" for name, action in pairs]


def plain(value):
    """A default without the difference between an empty list, an empty tuple, False and none."""
    if isinstance(value, list | tuple):
        return tuple(value) or None
    return None if value is False else value


def default_of(command, dest):
    name = OPPOSITE.get(dest, OTHER_NAMES.get(dest, dest))
    found = [inspect.signature(f).parameters[name].default for f in CALLS[command] if name in _names(f)]
    assert found, f"no function that `{command}` calls has a parameter {name}"
    value = getattr(Source, name) if found[0] is EARLIER else found[0]
    return not value if dest in OPPOSITE else value


def _names(function):
    return inspect.signature(function).parameters


@pytest.mark.parametrize(("command", "action"), WITH_DEFAULT, ids=named(WITH_DEFAULT))
def test_a_default_is_that_of_the_function(command, action):
    parser = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices[command]
    default = parser.get_default(action.dest)
    if (command, action.dest) in ON_PURPOSE:
        assert default == ON_PURPOSE[command, action.dest]
    else:
        assert plain(default) == plain(default_of(command, action.dest))


@pytest.mark.parametrize(("command", "action"), WITH_CHOICES, ids=named(WITH_CHOICES))
def test_the_choices_are_those_that_the_function_takes(command, action):
    if action.dest == "select":
        assert set(action.choices) == {*smg.models.MODELS, "panel", "wilcoxon"}
        return
    check = CHECKS[action.dest]
    for word in action.choices:
        check(word)
    with pytest.raises(ValueError, match="no such word") as caught:
        check("no such word")
    assert all(word in str(caught.value) for word in action.choices)


@pytest.mark.parametrize("command", CALLS)
def test_help_shows_the_defaults_that_say_something(command, capsys):
    with pytest.raises(SystemExit):
        _parser().parse_args([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert not [empty for empty in ("None", "False", "[]") if f"(default: {empty})" in said]
    assert ("(default: rf)" in said) == (command in ("demo", "find", "report", "stability", "tune"))
