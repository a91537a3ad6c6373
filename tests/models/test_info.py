"""A model states its own facts: one more is one file and one line, and everything else knows of it."""

import csv
import html
import subprocess
import sys

import numpy as np
import pytest
from cells import planted
from models.nearest_mean import NEAREST_MEAN, NearestMean

import smash_gpu as smg
from smash_gpu import cli, models
from smash_gpu.annotated import read
from smash_gpu.report._scores import score
from smash_gpu.selection import options, plan, scoring

MARKERS = {f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"}


@pytest.fixture(autouse=True)
def fifth(monkeypatch):
    """The one line that a new model needs."""
    monkeypatch.setitem(models.MODELS, "nearest_mean", NEAREST_MEAN)


@pytest.fixture
def selected(adata):
    with pytest.warns(UserWarning, match="trained on 150 of 240 cells"):
        smg.tl.smash(adata, "cell_type", model="nearest_mean", n_top=3, n_models=2, model_options={"squared": True})
    return adata


def test_smash_selects_with_it_and_builds_it_once_per_fit(adata):
    before = NearestMean.made
    with pytest.warns(UserWarning, match="trained on 150 of 240 cells"):
        smg.tl.smash(adata, "cell_type", model="nearest_mean", n_top=3, n_models=2)
    assert set(smg.get.markers(adata)["name"]) == MARKERS
    assert NearestMean.made == before + 2


def test_the_plan_counts_its_bytes(adata):
    planned = plan.plan(adata.X, 3, model="nearest_mean")
    assert planned.training_cells == 150
    assert planned.bytes_per_candidate == 11 * 150
    assert planned.bytes_extra == 13 + 5 * 150 * 3
    assert planned.on_disk


def test_the_report_says_its_score(selected):
    assert "squared distance of the means; mean of 2 models" in smg.report.page(selected)
    assert score({"model": "nearest_mean", "options": {}}) == "distance of the means"


def test_paper_gives_its_settings():
    assert smg.paper("nearest_mean")["model_options"] == {"squared": True}
    with pytest.raises(ValueError, match="model='nearest_men' is not one of rf, .*nearest_mean"):
        smg.paper("nearest_men")


@pytest.mark.filterwarnings("ignore:trained on")
def test_the_command_line_offers_it(adata, tmp_path, capsys):
    data = tmp_path / "cells.h5ad"
    adata.write_h5ad(data)
    chosen = ["find", data, "--groupby", "cell_type", "--model", "nearest_mean", "--paper", "--no-figures"]
    assert cli.main([*map(str, chosen), "--n-top", "3", "--out", str(tmp_path / "out")]) == 0
    assert "Model nearest_mean: 100.0% of the held-out cells" in capsys.readouterr().out
    with (tmp_path / "out" / "markers.csv").open() as file:
        assert {row["name"] for row in csv.DictReader(file)} == MARKERS
    judged = ["evaluate", data, "--groupby", "cell_type", "--select", "nearest_mean", "--n-genes", "5"]
    assert cli.main([str(argument) for argument in judged]) == 0
    assert "selection by nearest_mean" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["find", "--help"])
    assert "150 for nearest_mean" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("facts", "kind"), [({"reads_parts": True}, "Scratch"), ({}, "ndarray")])
def test_an_object_of_ones_own_is_given_what_its_facts_say_it_reads(adata, monkeypatch, facts, kind):
    monkeypatch.setattr(scoring, "SHARE_FOR_EXPRESSION", 0)
    data = read.read(adata, {"groupby": "cell_type"})
    model = NearestMean()
    model.facts = models.Facts(**facts)
    scoring.importance(data, np.ones(adata.n_vars, dtype=bool), options.Importance(model))
    assert model.kind == kind


@pytest.mark.slow
def test_the_report_says_the_score_of_an_object_of_ones_own(adata, tmp_path):
    model = NearestMean()
    model.facts = models.Facts(score_in_words="<how far> the means lie apart")
    smg.tl.smash(adata, "cell_type", model=model)
    adata.write_h5ad(tmp_path / "x.h5ad")
    assert "&lt;how far&gt; the means lie apart" in smg.report.page(smg.read(tmp_path / "x.h5ad"))
    smg.tl.smash(adata, "cell_type", model=NearestMean())
    assert models.Facts().score_in_words in html.unescape(smg.report.page(adata))


def test_facts_of_another_kind_are_refused(adata):
    model = NearestMean()
    model.facts = {"reads_parts": True}
    with pytest.raises(TypeError, match=r"facts of the model of type NearestMean.*smash_gpu\.models\.Facts"):
        smg.tl.smash(adata, "cell_type", model=model)


def test_a_model_that_needs_more_than_there_is_names_those_that_read_a_file(monkeypatch):
    adata = planted(np.random.default_rng(0))
    monkeypatch.setattr(scoring.memory, "available", lambda: 0)
    with pytest.raises(MemoryError, match="model=.*'xgboost'.* or .*'nearest_mean'.*, which can read from"):
        smg.tl.smash(adata, "cell_type", model="rf")


@pytest.mark.slow
def test_facts_are_known_without_the_libraries_of_the_models():
    code = """
import sys
import numpy as np
import smash_gpu as smg
from smash_gpu import cli
from smash_gpu.report._scores import score
from smash_gpu.selection import plan
for name in smg.models.MODELS:
    plan.plan(np.ones((4, 3)), 2, model=name), smg.paper(name), score({"model": name})
try:
    cli.main(["find", "--help"])
except SystemExit:
    print([name for name in ("torch", "shap", "xgboost", "sklearn", "imblearn") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
