"""The command line answers bad input with one message and no traceback."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.commands import MARKERS, assert_one_message, changed, evaluate, find, written
from scipy import sparse

from smash_gpu.cli.exit_codes import ExitCode


def no_file(data):
    data.rename(data.with_name("cells2.h5ad"))


def text_file(data):
    data.write_text("gene,count\n")


def to_negative(adata):
    adata.X = adata.X.toarray() - 1


def to_logged(adata):
    adata.X = np.log1p(adata.X.toarray() / 3)


def to_nan(adata):
    adata.X = np.where(adata.X.toarray() > 4, np.nan, adata.X.toarray())


def to_twice(adata):
    adata.var_names = ["MARKER0X", *adata.var_names[:-1]]


def to_one_donor(adata):
    adata.obs["sample"] = "d1"


def to_rare(adata):
    adata.obs["cell_type"] = ["rare", *adata.obs["cell_type"].astype(str)[1:]]


def test_figures_without_matplotlib_are_refused_before_any_work(run, data, tmp_path, monkeypatch):
    data.unlink()
    monkeypatch.setattr("smash_gpu.runtime.drawing.find_spec", lambda _: None)
    for command in ("find", "evaluate", "report"):
        said = run(command, data, "--groupby", "cell_type", "--out", tmp_path / "out")
        assert_one_message(said, "figures need matplotlib: pip install matplotlib", "--no-figures")


# name: (what is done to the file, options, words of the message)
BAD_FIND = {
    "a missing file": (no_file, (), ("cells.h5ad", "cells2.h5ad")),
    "no h5ad": (text_file, (), ("cells.h5ad", "cannot be read as an h5ad file")),
    "no such column": (None, ("--groupby", "cell_typ"), ("'cell_typ'", "Did you mean 'cell_type'")),
    "no such layer": (None, ("--layer", "counts"), ("'counts'", "Layers: none")),
    "no raw": (None, ("--use-raw",), ("raw is empty",)),
    "no such sample column": (None, ("--sample-key", "samples"), ("'samples'", "Did you mean 'sample'")),
    "one sample": (to_one_donor, ("--sample-key", "sample"), ("--sample-key sample", "d1", "Leave --sample-key out")),
    "no such broad column": (None, ("--within", "broad"), ("'broad'", "Columns: cell_type")),
    "no such symbol column": (None, ("--gene-symbols", "symbol"), ("'symbol'",)),
    "a class of one cell": (to_rare, (), ("rare (1)", "--min-cells 2")),
    "one class left": (None, ("--min-cells", "80"), ("'cell_type'", "A (71)")),
    "negative values": (to_negative, (), ("negative", "--layer", "--normalized", "--use-raw")),
    "logged values as counts": (to_logged, (), ("log-normalised", "--normalized", "--counts", "--layer")),
    "counts as logged values": (None, ("--normalized",), ("whole numbers",)),
    "NaN": (to_nan, (), ("NaN",)),
    "duplicated genes": (to_twice, (), ("MARKER0X", "var_names_make_unique")),
    "no models": (None, ("--n-models", "0"), ("--n-models 0",)),
    "no markers a group": (None, ("--n-top", "0"), ("--n-top 0",)),
    "an unknown model": (None, ("--model", "svm"), ("svm", "xgboost")),
    "no number": (None, ("--n-top", "five"), ("five",)),
}


@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
@pytest.mark.parametrize(("change", "options", "words"), BAD_FIND.values(), ids=BAD_FIND)
def test_find_answers_bad_input_with_one_message_and_writes_nothing(run, data, tmp_path, change, options, words):
    if change in (no_file, text_file):
        change(data)
    elif change:
        changed(data, change)
    assert_one_message(find(run, data, "--out", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out").exists()


GENE_FILES = {
    "an absent gene": (b"MARKER1W\n", ("'MARKER1W'", "MARKER1X")),
    "no genes": (b"\n\n", ("genes.txt holds no genes",)),
    "a header only": (b"name\n", ("genes.txt", "no genes")),
    "no text": (b"\x00\x01\x02\xff\xfe" * 9, ("genes.txt", "per line")),
    "a workbook": (b"PK\x03\x04\xff\xfe\x00\x01" * 9, ("genes.txt", "save the sheet with the genes as CSV")),
}


@pytest.mark.parametrize("option", ["--exclude", "--keep", "--genes"])
@pytest.mark.parametrize(("content", "words"), GENE_FILES.values(), ids=GENE_FILES)
def test_a_bad_list_of_genes_is_answered_with_one_message(run, data, tmp_path, content, words, option):
    path = tmp_path / "genes.txt"
    path.write_bytes(content)
    command = "evaluate" if option == "--genes" else "find"
    result = run(command, data, "--groupby", "cell_type", option, path, "--out", tmp_path / "out")
    assert_one_message(result, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--exclude", "--keep", "--genes"])
@pytest.mark.parametrize("name", ["absent.txt", "a folder"])
def test_a_list_of_genes_that_is_no_file_is_named(run, data, tmp_path, name, option):
    (tmp_path / "a folder").mkdir()
    command = "evaluate" if option == "--genes" else "find"
    result = run(command, data, "--groupby", "cell_type", option, tmp_path / name)
    assert_one_message(result, name)


@pytest.mark.parametrize(
    ("options", "word"), [(("--groupby", "cell_typ"), "'cell_type'"), (("--use-raw",), "raw is empty")], ids=str
)
def test_evaluate_answers_bad_input_with_one_message_and_writes_nothing(run, data, tmp_path, options, word):
    genes = written(tmp_path / "genes.txt", *MARKERS)
    assert_one_message(evaluate(run, data, genes, "--out", tmp_path / "out", *options), word)
    assert not (tmp_path / "out").exists()


def test_find_without_a_column_says_what_is_missing(run, data):
    assert_one_message(run("find", data), "--groupby")


def test_no_command_says_which_there_are(run):
    assert_one_message(run(), "demo", "find", "evaluate")


@pytest.mark.parametrize("command", ["demo", "find", "evaluate"])
def test_a_folder_that_cannot_be_written_is_named_before_any_work(run, data, tmp_path, monkeypatch, command):
    def worked(*_, **__):
        raise AssertionError("data were read before the complaint")

    monkeypatch.setattr("smash_gpu.read", worked)
    monkeypatch.setattr("smash_gpu.annotated.read.read", worked)
    genes = written(tmp_path / "genes.txt", *MARKERS)
    for out in (genes / "below a file", genes):
        arguments = {
            "demo": (),
            "find": (data, "--groupby", "cell_type"),
            "evaluate": (data, "--groupby", "cell_type", "--genes", genes),
        }[command]
        assert_one_message(run(command, *arguments, "--out", out), str(out), "folder")
    assert genes.read_text().split() == MARKERS


def test_an_unexpected_error_is_not_hidden(run, data, monkeypatch):
    def broken(*_, **__):
        raise AssertionError("a bug")

    monkeypatch.setattr("smash_gpu.tl.smash", broken)
    code, _, error = find(run, data)
    assert code == ExitCode.FAULT
    assert "Traceback" in error and "AssertionError: a bug" in error


def test_a_selection_without_markers_is_told_and_not_a_crash(run, data, tmp_path):
    """Every gene is seen in one donor only, so the sample rule forbids all."""

    def one_donor_each(adata):
        counts, donors = adata.X.toarray(), pd.factorize(adata.obs["sample"])[0]
        counts[donors[:, None] != np.arange(adata.n_vars)[None, :] % 4] = 0
        adata.X = sparse.csr_matrix(counts)

    changed(data, one_donor_each)
    keep = written(tmp_path / "keep.txt", *ad.read_h5ad(data).var_names)
    code, out, error = find(run, data, "--sample-key", "sample", "--keep", keep, "--out", tmp_path / "out")
    assert "Traceback" not in error
    assert "max()" not in error
    assert "A, B / b, CD4+ T" in error
    assert code == 0 or not (tmp_path / "out").exists()


def test_a_list_of_genes_that_does_not_exist_is_named_with_near_matches(run, data, tmp_path):
    (tmp_path / "genes.csv").write_text("name\nMARKER0X\n")
    assert_one_message(evaluate(run, data, tmp_path / "gene.csv"), "there is no file", "gene.csv", "'genes.csv'")
    assert_one_message(evaluate(run, data, tmp_path), f"{tmp_path} is a folder; name a file")


def test_a_misspelled_option_is_answered_with_the_one_that_was_meant(run):
    meant = ((["--modle", "rf"], "'--model'"), (["--ntop=3"], "'--n-top'"), (["--group", "x"], "'--groupby'"))
    for words, near in meant:
        code, _, error = run("find", "cells.h5ad", "--groupby", "cell_type", *words)
        assert code == 2
        assert f"there is no option {words[0]}. Did you mean {near}" in error.splitlines()[-1]


def test_a_second_value_of_an_option_that_takes_one_is_named(run, data):
    said = run("evaluate", data, "--groupby", "cell_type", "sub_type", "--genes", data)
    assert "--groupby takes one value here; 'sub_type' is one too many" in said[2]
    assert said[0] == 2
