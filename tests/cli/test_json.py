"""``--json`` prints one object on standard output, and the exit codes are those that are documented."""

from __future__ import annotations

import ctypes
import json
import os

import numpy as np
import pandas as pd
import pytest
from cases.commands import MARKERS, find, written

from smash_gpu import cli
from smash_gpu.cli.exit_codes import MEANING, ExitCode
from smash_gpu.cli.json_output import Result, messages, plain, print_object

QUICK = ("--groupby", "cell_type", "--no-figures")


def asked(run, *arguments):
    """The object, after checking that standard output holds nothing else."""
    code, out, error = run(*arguments, "--json")
    found = json.loads(out)
    assert found["command"] == arguments[0]
    assert found["exit_code"] == code
    return found, error


def test_find_prints_its_tables_as_an_object(run, data, tmp_path):
    found, error = asked(run, "find", data, *QUICK, "--n-top", 3, "--out", tmp_path / "out")
    assert sorted(sum(found["by_group"].values(), [])) == sorted(MARKERS)
    assert {row["name"] for row in found["markers"]} == set(MARKERS)
    assert str(tmp_path / "out" / "markers.csv") in found["written"]
    assert "Genes removed by each rule" in error


def test_lines_of_compiled_libraries_go_to_standard_error(capfd):
    """HiGHS prints some with its own buffer, whatever it is told."""
    with messages(as_json=True):
        os.write(1, b"written\n")
        ctypes.CDLL(None).puts(b"buffered")
    print_object("check", Result(), [])
    out, error = capfd.readouterr()
    assert json.loads(out)["command"] == "check"
    assert sorted(error.split()) == ["buffered", "written"]


def test_the_sentences_of_a_platform_name_options(run, data):
    found, _ = asked(run, "panel", data, *QUICK, "--n-genes", 4, "--platform", "xenium_v1")
    used = {row["quantity"]: row["used"] for row in found["platform"]}
    assert used["max_transcripts"].endswith("give --max-transcripts")
    assert used["min_transcript_length"].endswith("give --limit transcript_length low -")


def test_panel_prints_the_tables_that_it_would_write(run, data, tmp_path):
    found, _ = asked(run, "panel", data, *QUICK, "--n-genes", 4)
    run("panel", data, *QUICK, "--n-genes", 4, "--out", tmp_path)
    assert [row["name"] for row in found["panel"]] == pd.read_csv(tmp_path / "panel.csv")["name"].tolist()
    assert {f"{name}.csv" for name in found} >= {path.name for path in tmp_path.glob("p*.csv")}
    assert found["written"] == []


@pytest.mark.slow
def test_evaluate_and_report_print_an_object(run, data, tmp_path):
    genes = written(tmp_path / "mine.txt", *MARKERS)
    small = ("--groupby", "cell_type", "--n-splits", 2, "--n-random", 1)
    found, _ = asked(run, "evaluate", data, "--genes", genes, *small)
    assert {row["genes"] for row in found["comparison"]} == {"mine"}
    page = tmp_path / "page.html"
    found, _ = asked(run, "report", data, *small, "--n-genes", 5, "--no-figures", "--out", page)
    assert found["written"] == [str(page)]
    assert found["bytes"] == page.stat().st_size


def test_check_prints_its_findings(run):
    found, _ = asked(run, "check")
    assert {row["status"] for row in found["findings"]} <= {"good", "no_device", "wrong"}


def test_notes_are_in_the_object(run, data):
    found, error = asked(run, "panel", data, *QUICK, "--n-genes", 3, "--extend", written(data.with_name("x"), "NONE1"))
    assert any("NONE1" in note for note in found["notes"])
    assert all(f"note: {note}" in error for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (("find", "nowhere.h5ad", *QUICK), ExitCode.WRONG, "FileNotFoundError", "nowhere.h5ad"),
        (("find", "DATA", "--groupby", "cell_typ"), ExitCode.WRONG, "NotFoundError", "Did you mean 'cell_type'"),
        (("panel", "DATA", *QUICK, "--n-genes", 5001), ExitCode.INFEASIBLE, "InfeasibleError", "only 60 of 60 genes"),
        (("find", "DATA", "--groupby", "cell_type", "--model", "rff"), ExitCode.WRONG, "ArgumentError", "'rf'"),
    ],
)
def test_an_error_is_an_object_too(run, data, arguments, code, kind, words):
    found, error = asked(run, *(data if word == "DATA" else word for word in arguments))
    assert (found["exit_code"], found["error"]["type"]) == (code, kind)
    assert words in found["error"]["message"]
    assert found["error"]["message"] in error
    assert ("certificate" in found["error"]) == (code == ExitCode.INFEASIBLE)


def test_a_fault_of_the_package_has_its_own_code(run, data, monkeypatch):
    monkeypatch.setattr(cli.find, "find", lambda *_, **__: {}["no such place"] or 1 / 0)
    assert find(run, data)[0] == ExitCode.WRONG  # a KeyError is what absent columns raise
    monkeypatch.setattr(cli.find, "find", lambda *_, **__: 1 / 0)
    code, out, error = find(run, data, "--json")
    assert code == ExitCode.FAULT
    assert json.loads(out)["error"]["type"] == "ZeroDivisionError"
    assert "report it" in error


def test_help_states_all_exit_codes(run):
    said = run("--help")[1]
    assert all(f"  {code.value}  {meaning}" in said for code, meaning in MEANING.items())
    assert set(MEANING) == set(ExitCode)
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4]  # scripts rely on them


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--grouby", "cell_type"), ("--groupby", "there is no option --grouby. Did you mean '--groupby'")),
        (("--groupby", "cell_type", "--device", "gpu", "--model", "xgbost"), ("'gpu'", "choose from auto, cpu, cuda")),
        (("--groupby", "cell_type", "--model", "xgbost"), ("Did you mean 'xgboost'",)),
        (("--groupby", "cell_type", "--device", "cud"), ("Did you mean 'cuda'",)),
        (("--groupby", "cell_type", "--species", "humen"), ("Did you mean 'human'",)),
    ],
)
def test_misspelled_words_get_a_hint(run, data, wrong, words):
    code, _, error = run("find", data, *wrong)
    assert code == ExitCode.WRONG
    assert all(word in error for word in words)


def test_families_and_commands_get_a_hint(run, data):
    error = run("panel", data, "--groupby", "cell_type", "--exclude-families", "mitochondria")[2]
    assert "Did you mean 'mitochondrial'" in error
    assert "Did you mean 'panel'" in run("pane", data)[2]


def test_values_become_json():
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": pd.Categorical(["x", None])})
    assert plain(table) == [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "b": None, "c": None}]
    assert plain({"x": np.float32(np.inf), "y": np.arange(2), 3: (np.bool_(True), None, pd.NA)}) == {
        "x": None, "y": [0, 1], "3": [True, None, None],
    }  # fmt: skip
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        plain(object())
