"""``smash-gpu tune`` writes what it found, and ``--tuned`` uses it."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.commands import assert_one_message

from smash_gpu.models import MODELS

pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")


def tune(run, data, out, *options):
    return run("tune", data, "--groupby", "cell_type", "--model", "xgboost", "--n-trials", "2", "--out", out, *options)


@pytest.fixture
def file(run, data, tmp_path):
    assert tune(run, data, tmp_path / "out")[0] == 0
    return tmp_path / "out" / "tuning.json"


def changed(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.slow
def test_it_prints_and_writes_the_trials(run, data, tmp_path):
    code, out, error = tune(run, data, tmp_path / "out", "--work", tmp_path / "work")
    assert (code, error) == (0, "")
    assert "Best of 2 trials (value: macro F1 on held-out cells; trial 0 has the defaults):" in out
    found = json.loads((tmp_path / "out" / "tuning.json").read_text())
    assert found["model"] == "xgboost" and found["params"]["n_trials"] == 2 and len(found["trials"]) == 2
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert set(MODELS["xgboost"].search) < set(table.columns) and len(table) == 2
    code, again, _ = tune(run, data, tmp_path / "out", "--work", tmp_path / "work")
    assert code == 0 and "found in" in again
    assert json.loads((tmp_path / "out" / "tuning.json").read_text()) == found  # the seconds, too


def test_as_json_it_is_one_object(run, data, tmp_path):
    code, out, _ = tune(run, data, tmp_path / "out", "--json")
    found = json.loads(out)
    assert (code, found["model"], len(found["trials"])) == (0, "xgboost", 2)
    assert found["written"] == [str(tmp_path / "out" / name) for name in ("tuning.json", "trials.csv")]


def test_find_uses_the_model_and_the_options_of_the_file(run, data, file, tmp_path):
    params = json.loads(file.read_text())["params"]
    changed(file, params=params | {"best_options": '{"n_estimators": 7}'})
    out = tmp_path / "found"
    code, said, error = run("find", data, "--groupby", "cell_type", "--tuned", file, "--out", out, "--no-figures")
    assert code == 0, error
    assert "Model xgboost:" in said
    recorded = json.loads((out / "params.json").read_text())["importance"]
    assert recorded["options"] == {"n_estimators": 7} and recorded["tuned"]


@pytest.mark.slow
def test_several_files_are_a_consensus_of_their_models(run, data, file, tmp_path):
    how = ["--groupby", "cell_type", "--n-trials", "1"]
    assert run("tune", data, *how, "--model", "rf", "--out", tmp_path / "rf")[0] == 0
    out, files = tmp_path / "found", [tmp_path / "rf" / "tuning.json", file]
    code, _, error = run("find", data, "--groupby", "cell_type", "--out", out, "--no-figures", "--tuned", *files)
    assert code == 0, error
    recorded = json.loads((out / "params.json").read_text())["importance"]
    assert recorded["model"] == ["rf", "xgboost"] and recorded["tuned"]
    assert recorded["options"]["rf"] == {}


def test_a_report_uses_them_too(run, data, file, tmp_path):
    page = tmp_path / "report.html"
    options = ["--groupby", "cell_type", "--tuned", file, "--no-figures", "--n-genes", "3", "--n-random", "0"]
    code, _, error = run("report", data, *options, "--n-splits", "1", "--out", page)
    assert code == 0, error
    assert "options tuned: " in page.read_text(encoding="utf-8")
    assert "were tuned on these cells" in error


def test_what_cannot_be_used_is_one_message(run, data, file, tmp_path):
    wanted = ["find", data, "--groupby", "cell_type", "--tuned"]
    assert_one_message(run(*wanted, tmp_path / "none.json"), "none.json")
    assert_one_message(run(*wanted, file, "--model", "dnn"), "of --tuned are of xgboost, not of dnn; omit --model")
    assert_one_message(run(*wanted, file, "--model", "rf"), "of --tuned are of xgboost, not of rf; omit --model")
    assert_one_message(run(*wanted, file, "--paper"), "--paper and --tuned both set the options of the model")
    (tmp_path / "other.json").write_text('{"model": "rf"}')
    assert_one_message(run(*wanted, tmp_path / "other.json"), "other.json is not a tuning.json of smash-gpu tune")
    assert_one_message(tune(run, data, tmp_path / "out", "--n-trials", "0"), "--n-trials 0 must be at least 1")
    with_other = run(*wanted[:3], "sample", "--tuned", file)
    assert "were tuned for the column 'cell_type', not for 'sample'" in with_other[2]


@pytest.mark.parametrize(("change", "said"), [
    (lambda cells: cells[:-9].copy(), "were tuned on other data: 9 of 240 cells are gone since"),
    (lambda cells: cells[:, 1:].copy(), "were tuned on other data: 1 of 60 genes is gone since"),
    (lambda cells: relabelled(cells), "were tuned on other data: labels in 'cell_type' changed since"),
    (lambda cells: cells, ""),
])  # fmt: skip
def test_options_of_other_data_are_used_with_a_note(run, data, file, tmp_path, change, said):
    change(ad.read_h5ad(data)).write_h5ad(tmp_path / "other.h5ad")
    code, _, error = run("find", tmp_path / "other.h5ad", "--groupby", "cell_type", "--tuned", file, "--no-figures")
    assert code in (0, 1), error
    assert said in error if said else "tuned on other data" not in error


def relabelled(cells):
    cells.obs["cell_type"] = np.roll(cells.obs["cell_type"].astype(str), 1)
    return cells


def test_options_of_a_column_that_the_data_lack_are_used_with_a_note(run, data, file, tmp_path):
    cells = ad.read_h5ad(data)
    cells.obs["type"] = cells.obs.pop("cell_type")
    cells.write_h5ad(tmp_path / "other.h5ad")
    code, _, error = run("find", tmp_path / "other.h5ad", "--groupby", "type", "--tuned", file, "--no-figures")
    assert code in (0, 1), error
    assert "were tuned for the column 'cell_type', not for 'type'" in error
