"""Stages of whole runs: which are used again, and which are computed again."""

from __future__ import annotations

import os
import warnings
import zipfile
from dataclasses import replace
from functools import partial

import anndata as ad
import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu import models
from smash_gpu.annotated.read import read
from smash_gpu.data.stages import Work
from smash_gpu.errors import ChangedError
from smash_gpu.io import concat, csc_to_csr
from smash_gpu.models import Choice
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance


def markers(adata, work, **options):
    smg.tl.smash(adata, "cell_type", work=work, **{"model_options": {"n_estimators": 5}, **options})
    return smg.get.markers(adata)


def stages(told):
    found = [one.stage for one in told if not one.found]
    told.clear()
    return found


@pytest.mark.slow
def test_every_option_that_changes_a_result_changes_a_stage(adata, tmp_path, told):
    """Each change is made alone, after a first call; what it does not touch is found again."""
    adata.obs["batch"] = (["x", "y"] * adata.n_obs)[: adata.n_obs]
    adata.obs["coarse"] = adata.obs["cell_type"].astype(str).replace({"A": "B / b"})
    adata.layers["doubled"] = adata.X * 2
    adata.layers["log"] = adata.X.log1p()
    work = Work(tmp_path, told.append)
    markers(adata, work)
    every = ["class statistics", "scores of rf, seed 0"]
    assert stages(told) == every
    for expected, options in [
        ([], {}),
        ([], {"n_top": 2, "unique": True, "positive_only": True}),
        (every[1:], {"model_options": {"n_estimators": 6}}),
        (["scores of rf, seed 9"], {"random_state": 9}),
        (["scores of rf, seed 1"], {"n_models": 2}),
        (every[1:], {"max_cells": 100}),
        (["scores of brf, seed 0"], {"model": "brf"}),
        (every[1:], {"batch_key": "batch"}),
        (["detections per sample"], {"sample_key": "sample"}),
        (every[1:], {"filters": {"exclude": ["MARKER0X"]}}),
        (["candidates after the inverse PCA"], {"inverse_pca": True}),
        (["candidates after the inverse PCA", *every[1:]], {"inverse_pca": True, "filters": {"exclude": ["MARKER0Y"]}}),
        (every, {"normalize": False, "layer": "log"}),
    ]:
        with pytest.warns(UserWarning) if expected == every else _nothing():
            markers(adata, work, **options)
        assert stages(told) == expected, options
    with pytest.warns(UserWarning, match="stages of"):
        markers(adata, work, layer="doubled")
    assert stages(told) == every
    smg.tl.smash(adata, "coarse", work=work, model_options={"n_estimators": 5})
    assert stages(told) == every
    markers(adata, work)
    assert stages(told) == []


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_parts_within_broad_groups_have_stages_of_their_own(adata, tmp_path, told):
    adata.obs["broad"] = ["T", "B"] * (adata.n_obs // 2)
    first = markers(adata, Work(tmp_path, told.append), within="broad")
    kept = stages(told)
    assert [one for one in kept if one.startswith("T: ")] == [one.replace("B: ", "T: ") for one in kept if "B: " in one]
    assert "T: scores of rf, seed 0" in kept
    again = markers(adata, Work(tmp_path, told.append), within="broad")
    assert [one.found for one in told] == [True] * len(kept)
    assert first.equals(again)


@pytest.mark.parametrize("model", ["rf", "xgboost"])
def test_markers_from_kept_stages_are_those_without(adata, tmp_path, model):
    options = {"model": model, "n_models": 2, "sample_key": "sample"}
    calm = markers(adata.copy(), None, **options)
    assert markers(adata.copy(), tmp_path, **options).equals(calm)
    assert markers(adata.copy(), tmp_path, **options).equals(calm)
    half = sorted(tmp_path.glob("*/*.npz"))[::2]
    for path in half:
        path.unlink()
    assert markers(adata.copy(), str(tmp_path), **options).equals(calm)


def test_models_of_ones_own_are_trained_every_time(adata, tmp_path, told):
    class Own:
        def fit(self, X, group, split):
            self.means = np.array([X[group == code].mean(axis=0) for code in np.unique(group)])
            return self

        def importance(self, X, group, split):
            return self.means

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    for _ in range(2):
        with pytest.warns(
            UserWarning, match=r"scores are not kept in .*recomputed in every run.* model cannot be saved"
        ):
            markers(adata, Work(tmp_path, told.append), model=Own(), model_options={})
    assert not [one for one in told if "scores" in one.stage]
    assert Importance(Own()).key_of_model(0, batch=None) is None


def test_scores_under_other_defaults_are_not_taken(adata, tmp_path, told, monkeypatch):
    """As a later version of the package may have them; a default that is passed is the same as one that is not."""
    made, changed = ["scores of rf, seed 0"], models.MODELS["rf"]
    assert made[0] in (markers(adata, Work(tmp_path, told.append), model_options=None), stages(told))[1]
    markers(adata, Work(tmp_path, told.append), model_options={"n_estimators": 100})
    assert stages(told) == []
    for other in (replace(changed, create=partial(changed.create, n_estimators=5)),
                  replace(changed, search={"max_depth": Choice(3, None)})):  # fmt: skip
        monkeypatch.setitem(models.MODELS, "rf", other)
        markers(adata, Work(tmp_path, told.append), model_options=None)
        assert stages(told) == made


def test_options_that_are_objects_are_named_once_where_scores_are_not_kept(adata, tmp_path, told):
    how = Importance("rf", {"n_estimators": 3, "class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}, n_models=2)
    data = read(adata, {"groupby": "cell_type"}, Work(tmp_path, told.append))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scoring.importance(data, np.ones(adata.n_vars, dtype=bool), how)
    assert len([one for one in said if "model_options['class_weight'] cannot be saved" in str(one.message)]) == 1


def test_an_error_in_a_stage_keeps_nothing_of_it(adata, tmp_path):
    adata.X.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        markers(adata, tmp_path)
    assert not list(tmp_path.glob("*/*.npz"))


def test_a_panel_finds_the_sums_of_a_selection(adata, tmp_path, told):
    markers(adata, Work(tmp_path, told.append))
    told.clear()
    smg.tl.panel(adata, "cell_type", n_genes=5, work=Work(tmp_path, told.append))
    assert ("class statistics", True) in {(one.stage, one.found) for one in told}


def test_matrices_stored_by_genes_are_converted_once_a_folder(adata, tmp_path, monkeypatch):
    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", 0)
    path, work = tmp_path / "by_genes.h5ad", tmp_path / "work"
    ad.AnnData(adata.X.tocsc(), obs=adata.obs, var=adata.var).write_h5ad(path)
    with pytest.warns(UserWarning, match="stored by genes"):
        first = markers_of(path, work)
    (converted,) = work.glob("*/by-cells-*")
    before = converted.stat().st_mtime_ns
    assert markers_of(path, work).equals(first)
    assert converted.stat().st_mtime_ns == before
    os.truncate(converted, converted.stat().st_size // 2)
    with pytest.warns(UserWarning, match="stored by genes"):
        assert markers_of(path, work, random_state=1) is not None
    assert {file.name for file in converted.parent.iterdir() if file.suffix != ".npz"} == {"data.txt", converted.name}


def markers_of(path, work, **options):
    return smg.get.markers(smg.tl.smash(path, "cell_type", work=work, model_options={"n_estimators": 5}, **options))


def test_a_full_disk_stops_the_conversion_with_numbers(adata, tmp_path, monkeypatch):
    from collections import namedtuple

    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", 0)
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(csc_to_csr, "disk_usage", lambda _: usage)
    path = tmp_path / "by_genes.h5ad"
    ad.AnnData(adata.X.tocsc(), obs=adata.obs, var=adata.var).write_h5ad(path)
    with pytest.raises(OSError, match=r"not enough disk space .* bytes plus 10 % are needed in .*work.*, 1 are free"):
        markers_of(path, tmp_path / "work")


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_file_that_changes_under_a_run_stops_it(adata, tmp_path, monkeypatch, when):
    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", 0)
    path, work = tmp_path / "cells.h5ad", tmp_path / "work"
    adata.write_h5ad(path)
    touched = path.stat().st_mtime_ns + 10**9

    def touch(*_):
        os.utime(path, ns=(touched, touched))
        return {"a": np.ones(1)}

    cells = concat.open_cells([path], {"groupby": ["cell_type"]})
    data = read(cells, {"groupby": "cell_type"}, work)
    kept = sorted(work.glob("*/*.npz"))
    if when == "before":
        touch()
    with pytest.raises(ChangedError, match=r"cells\.h5ad changed while it was read \(written "):
        data.kept("stage", {}, touch if when == "during" else pytest.fail)
    assert sorted(work.glob("*/*.npz")) == kept
    path.unlink()
    with pytest.raises(ChangedError, match="no longer exists"):
        data.kept("stage", {}, touch)


def test_stages_hold_no_pickles(adata, tmp_path):
    markers(adata, tmp_path, n_models=2, sample_key="sample")
    for path in tmp_path.glob("*/*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert {name.rpartition(".")[2] for name in archive.namelist()} == {"npy"}
        with np.load(path, allow_pickle=False) as found:
            assert all(found[name] is not None for name in found.files)
