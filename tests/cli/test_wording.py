"""Messages name options of the command line, as one would type them."""

from __future__ import annotations

import numpy as np
import pytest
from cases.commands import assert_one_message, changed, find
from cases.steps import expression

from smash_gpu.cli import _parser
from smash_gpu.cli.wording import in_options

PANEL = _parser().parse_args(["panel", "cells.h5ad", "--groupby", "cell_type"]).parser
SAID = {
    "pass use_raw=True.": "pass --use-raw.",
    "Pass normalize=False if so, normalize=True if not.": "Pass --normalized if so, --counts if not.",
    "pass layer= if a layer": "pass --layer if a layer",
    "pass layer='raw counts'.": 'pass --layer "raw counts".',
    "leave out layer=.": "leave out --layer.",
    "Pass min_cells=2 to": "Pass --min-cells 2 to",
    "max_transcripts=300.5 is": "--max-transcripts 300.5 is",
    "or ignore=['nan', \"a\"] for": "or --ignore nan a for",
    "mean_counts=(0.1, 5) is empty": "--mean-counts 0.1 5 is empty",
    "pass max_counts=(None, 100), or": "pass --max-counts - 100, or",
    "sample_key='donor' has one value. Leave sample_key out.": (
        "--sample-key donor has one value. Leave --sample-key out."
    ),
    "give max_counts= or limits=": "give --max-counts or --limit",
    "give limits={'transcript_length': (960, None)}": "give --limit transcript_length 960 -",
    "yours: limits={'my length': (None, 5)}": 'yours: --limit "my length" - 5',
    "Leave normalize out.": "Leave --normalized and --counts out.",
    "pass adata.raw.to_adata() instead of adata.": "pass --use-raw.",
    "Pass adata.raw.to_adata() instead of adata, or instead of a path smash_gpu.read(path).raw.to_adata(), as "
    "--use-raw of the commands does.": "Pass --use-raw.",
    "adata.obs has no column 'n_genes'. Columns: n_genes_by_counts, budget.": None,
    "run tl.smash(adata, layer='counts').": "run tl.smash(adata, --layer counts).",
    "pair_weights= names two classes": "--pair names two classes",
    "pass tau=2.": None,
    "x.budget=3 and 'budget=3'": None,
}  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), SAID.items())
def test_options_are_those_of_the_command_line(message, expected):
    assert in_options(message, PANEL) == (message if expected is None else expected)


def test_a_command_without_the_option_keeps_the_word():
    parser = _parser().parse_args(["find", "cells.h5ad", "--groupby", "cell_type"]).parser
    assert in_options("pass max_transcripts=3 or use_raw=True", parser) == "pass max_transcripts=3 or --use-raw"


def to_logged_with_counts_in_raw(adata):
    adata.raw = adata.copy()
    adata.X = expression(adata)


def to_seurat(adata):
    adata.raw = adata.copy()
    adata._inplace_subset_var(np.arange(30))
    adata.X = expression(adata).toarray() - 1


@pytest.mark.parametrize("change", [to_logged_with_counts_in_raw, to_seurat])
def test_the_way_that_a_refusal_names_is_the_way(run, data, change):
    changed(data, change)
    assert_one_message(find(run, data, "--no-figures"), "holds whole numbers: pass --use-raw.")
    assert find(run, data, "--no-figures", "--use-raw")[0] == 0


def to_small_corrected_counts(adata):
    values = adata.X.toarray()
    adata.X = np.minimum(np.where(values > 0, np.maximum(values - 0.4, 0.1), 0), 15)


@pytest.mark.parametrize("command", ["find", "panel"])
def test_corrected_counts_are_taken_with_counts(run, data, command):
    changed(data, to_small_corrected_counts)
    arguments = (command, data, "--groupby", "cell_type", "--no-figures", "--n-genes", 5)
    assert_one_message(run(*arguments), "--normalized if so, --counts if these are corrected counts, or --layer for")
    assert run(*arguments, "--counts")[0] == 0


def test_counts_and_normalized_exclude_each_other(run, data):
    assert_one_message(find(run, data, "--counts", "--normalized"), "--normalized", "not allowed with", "--counts")


def test_symbols_of_raw_may_be_in_var(run, data):
    def change(adata):
        adata.raw = adata.copy()
        adata.var["symbol"] = [f"S{name}" for name in adata.var_names]

    changed(data, change)
    code, out, _ = find(run, data, "--no-figures", "--use-raw", "--gene-symbols", "symbol")
    assert code == 0
    assert "MARKER0X" in out
    assert_one_message(find(run, data, "--use-raw", "--gene-symbols", "symbl"), "adata.raw.var has no column 'symbl'")


def test_a_note_names_options_too(run, data):
    def change(adata):
        adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]

    changed(data, change)
    assert "--gene-symbols" in find(run, data, "--no-figures")[2]
