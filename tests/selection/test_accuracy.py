"""How right the models are: stored and said per group, and a warning where it is too little."""

from __future__ import annotations

import logging
import warnings

import anndata as ad
import numpy as np
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu.data import splits

FEW_TREES = {"n_estimators": 20}


class Constant:
    """A model that predicts the first group."""

    def fit(self, X, group, split):
        return self

    def importance(self, X, group, split):
        return np.array([X[group == c].mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def said(step, *arguments, **options):
    """The warnings of a step."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step(*arguments, **options)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("step", [smg.tl.smash, smg.tl.importance])
def test_a_model_far_below_the_nearest_class_mean_is_a_warning_with_both_numbers(adata, step):
    found = said(step, adata, "cell_type", model=Constant())
    accuracy = adata.uns["smash"]["accuracy"].item()
    assert accuracy < 0.5 < adata.uns["smash"]["nearest_mean"].item()
    assert len(found) == 1
    assert f"model Constant predicts {accuracy:.0%} of its held-out cells right, " in found[0]
    assert "right, the nearest class mean 100%, so its scores can mislead" in found[0]
    assert "(lowest: B / b 0%, CD4+ T 0%, A 100%)" in found[0]


@pytest.mark.parametrize("model", ["rf", "brf", "xgboost"])
def test_a_model_as_good_as_the_others_is_none(adata, model):
    assert said(smg.tl.smash, adata, "cell_type", model=model, n_top=1, model_options=FEW_TREES) == []


@pytest.mark.filterwarnings("ignore:.*one cell of each was moved")
def test_groups_with_few_training_cells_are_named_with_their_numbers(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:6] = "rare"
    adata.obs["cell_type"] = labels
    found = [
        text for text in said(smg.tl.smash, adata, "cell_type", n_top=1, model_options=FEW_TREES) if "fewer" in text
    ]
    cells = int(smg.get.accuracy(adata).set_index("group").loc["rare", "training_cells"])
    assert 3 <= cells <= 5
    assert len(found) == 1
    assert f"fewer than 10 training cells of rare ({cells}): " in found[0]


def test_a_seed_that_fails_is_named_among_the_others(adata, monkeypatch):
    from smash_gpu.models.forest import Forest

    honest = Forest.predict
    calls = []

    def predict(self, X):
        calls.append(len(X))
        return np.zeros(len(X), dtype=int) if len(calls) == 2 else honest(self, X)

    monkeypatch.setattr(Forest, "predict", predict)
    found = said(smg.tl.smash, adata, "cell_type", n_top=1, n_models=3, model_options=FEW_TREES)
    assert any("model rf, number 2 of 3, predicts" in text for text in found)


def test_accuracy_of_every_model_and_group_is_stored_and_survives_a_file(rng, tmp_path):
    adata = planted(rng, groups=("NK/T", "B", "Mono"))
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    smg.tl.importance(adata, "cell_type", model=Constant())
    table = smg.get.accuracy(adata)
    assert table["accuracy"].tolist() == [1.0, 0.0, 0.0]
    smg.tl.smash(adata, "cell_type", n_models=2, n_top=1, model_options=FEW_TREES, random_state=3)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    table = smg.get.accuracy(ad.read_h5ad(tmp_path / "cells.h5ad"))
    assert table["model"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table["group"].tolist() == ["NK/T", "B", "Mono"] * 2
    parts = [splits.stratified(codes, random_state=seed) for seed in (3, 4)]
    assert table["training_cells"].tolist() == [n for part in parts for n in np.bincount(codes[part.train])]
    for model, part in zip((1, 2), parts, strict=True):
        sizes = np.bincount(codes[part.test])
        mean = np.average(table[table["model"] == model]["accuracy"], weights=sizes)
        assert mean == pytest.approx(adata.uns["smash"]["accuracy"][model - 1])


def test_within_broad_groups_every_group_has_its_accuracy(rng):
    adata = planted(rng, groups=("a", "b", "c", "d"))
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(["a", "b"]), "left", "right")
    smg.tl.smash(adata, "cell_type", within="broad", n_top=1, model_options=FEW_TREES)
    table = smg.get.accuracy(adata)
    assert table["group"].tolist() == ["left / a", "left / b", "right / c", "right / d"]
    assert (table["accuracy"] > 0.8).all()
    found = said(smg.tl.smash, adata, "cell_type", within="broad", n_top=1, model=Constant())
    assert [text[:14] for text in found] == ["within left: m", "within right: "]


def test_it_is_said_in_python_and_can_be_switched_off(adata, capsys, monkeypatch):
    logger = logging.getLogger("smash_gpu")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()
    smg.tl.smash(adata, "cell_type", n_top=1, model_options=FEW_TREES)
    line = "of the held-out cells are predicted right, with all candidate genes. By class: "
    assert capsys.readouterr().err.count(line) == 1
    logger.setLevel(logging.WARNING)
    smg.tl.importance(adata, "cell_type", model_options=FEW_TREES)
    assert capsys.readouterr().err == ""


def test_without_scores_the_step_that_makes_them_is_named(adata):
    with pytest.raises(KeyError, match=r"run tl\.smash or tl\.importance first"):
        smg.get.accuracy(adata)
