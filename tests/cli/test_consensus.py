"""Several models in a command: the consensus, with commas between the names."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cases.commands import assert_one_message, find


@pytest.fixture
def markers(run, data, tmp_path):
    """Finds markers with this word after --model: the table, the options, and what was printed."""

    def found(word):
        out = tmp_path / word
        code, said, error = find(run, data, "--model", word, "--no-figures", "--out", out, "--n-top", 3)
        assert code == 0, error
        return pd.read_csv(out / "markers.csv"), json.loads((out / "params.json").read_text()), said

    return found


def test_several_models_are_a_consensus(markers):
    table, params, said = markers("rf,xgboost")
    assert {"agreement", "rank_rf", "rank_xgboost"} <= set(table)
    assert params["importance"]["model"] == ["rf", "xgboost"]
    assert "Model rf: " in said and "Model xgboost: " in said
    assert f"All models agree on {(table['agreement'] == 1).sum()} of {len(table)} markers" in said


def test_one_model_is_no_consensus(markers):
    table, params, said = markers("rf")
    assert "agreement" not in table
    assert params["importance"]["model"] == "rf"
    assert "agree" not in said


def test_files_may_follow_the_models(run, data):
    code, said, error = run("find", "--model", "rf,xgboost", data, "--groupby", "cell_type", "--no-figures")
    assert code == 0, error


@pytest.mark.parametrize("word", ["rf,xgbost", "panel", "rf,panel", ","])
def test_what_is_no_model_is_refused(run, data, word):
    assert_one_message(find(run, data, "--model", word), "--model", "xgboost")


def test_models_with_a_space_between_them_get_the_comma_named(run, data):
    assert_one_message(find(run, data, "--model", "rf", "xgboost"), "'xgboost'", "--model dnn,xgboost")


def test_a_model_that_is_named_twice_is_refused(run, data):
    assert_one_message(find(run, data, "--model", "rf,rf"), "'rf' twice", "--n-models")


@pytest.mark.slow
def test_a_consensus_is_judged_like_a_model(run, data, tmp_path):
    more = ("--select", "rf", "rf,xgboost", "panel", "--n-genes", 3, "--n-splits", 2, "--out", tmp_path / "out")
    code, said, error = run("evaluate", data, "--groupby", "cell_type", *more)
    assert code == 0, error
    judged = pd.read_csv(tmp_path / "out" / "evaluation.csv")["genes"].unique().tolist()
    assert judged == ["selection by rf", "selection by rf + xgboost", "selection by panel"]
    assert_one_message(run("evaluate", data, "--groupby", "cell_type", "--select", "rf,panel"), "--select")


def test_the_settings_of_the_paper_for_both(run, data, tmp_path):
    code, said, error = find(run, data, "--model", "rf,xgboost", "--paper", "--no-figures", "--out", tmp_path / "o")
    assert code == 0, error
    options = json.loads((tmp_path / "o" / "params.json").read_text())["importance"]["options"]
    assert options["xgboost"]["importance"] == "gain"


@pytest.mark.slow
def test_a_report_of_a_consensus_is_used_again(run, data, tmp_path):
    out = tmp_path / "report.html"
    command = ("report", data, "--groupby", "cell_type", "--model", "rf,xgboost", "--no-figures", "--out", out)
    code, said, error = run(*command, "--n-genes", 3, "--n-splits", 2, "--n-random", 0)
    assert code == 0, error
    assert "model rf + xgboost" in said
    assert "model rf + xgboost" in out.read_text()


def test_the_plan_names_the_passes_of_every_model(run, data, monkeypatch):
    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", 0)
    code, said, error = find(run, data, "--model", "rf,xgboost", "--no-figures")
    assert code == 0, error
    assert "Plan: 3 passes" in said
    assert said.count("candidates of 240 cells to train on") == 2
