"""Training at scale: samples of cells."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu import models
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance, Recipe

FEW_TREES = {"n_estimators": 12}
NO_FILTERS = {"families": ()}


class Witness:
    """A model that remembers what it was given."""

    def __init__(self):
        self.seen = []

    def fit(self, X, group, split):
        self.seen.append((X, group, split))
        return self

    def importance(self, X, group, split):
        return np.array([X[group == c].mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def data_of(adata):
    return read(adata, {"groupby": "cell_type"})


def scored(data, model, **how):
    return scoring.importance(data, np.ones(len(data.names), dtype=bool), Importance(model, **how))


def test_the_model_is_given_the_expression_of_a_sample_that_keeps_the_rare_group_whole(rng):
    adata = planted(rng, n_cells=2000)
    codes = np.repeat([0, 1, 2], [1496, 501, 3])
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.categories.take(codes)
    data, witness = data_of(adata), Witness()
    with pytest.warns(UserWarning, match=r"trained on 400 of 2,000 cells.*at least 198 of each"):
        scored(data, witness, max_cells=400)
    X, group, split = witness.seen[0]
    assert np.bincount(group).tolist() == [199, 198, 3]
    assert set(group[split.train]) == set(group[split.test]) == {0, 1, 2}
    cells = scoring.sample(data, 400, 0).cells
    np.testing.assert_array_equal(X, data.expression(np.arange(60))[cells])
    np.testing.assert_array_equal(group, codes[cells])


def test_forests_learn_from_a_stated_number_and_the_others_from_all():
    most = {"rf": 1e5, "brf": 1e5, "xgboost": np.inf, "dnn": np.inf}
    assert {name: models.cells_to_learn_from(name, None) for name in most} == most
    assert {models.cells_to_learn_from(name, 7) for name in models.MODELS} == {7}
    assert models.cells_to_learn_from(Witness(), None) == np.inf


def test_a_forest_of_more_cells_than_its_default_says_so_and_as_many_as_there_are_are_all(monkeypatch, adata):
    forest = models.MODELS["rf"]
    monkeypatch.setitem(models.MODELS, "rf", replace(forest, facts=replace(forest.facts, max_cells=100)))
    data = data_of(adata)
    with pytest.warns(UserWarning, match="trained on 100 of 240 cells.*max_cells="):
        scored(data, "rf", options=FEW_TREES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        everything = scored(data, "rf", options=FEW_TREES, max_cells=10**9)
    monkeypatch.undo()
    np.testing.assert_array_equal(everything.mean, scored(data, "rf", options=FEW_TREES).mean)


@pytest.mark.filterwarnings("ignore:trained on")
def test_every_model_draws_its_own_sample_and_one_seed_gives_one_result(adata):
    data = data_of(adata)
    seen = []
    for part, seeds in scoring._training_data(data, Importance("rf", n_models=3, random_state=4, max_cells=60)):
        seen.append(part.cells)
        assert len(part.cells) == 60
        assert list(seeds) == [4 + len(seen) - 1]
    assert len({tuple(cells) for cells in seen}) == 3
    first, again = (scored(data, "rf", options=FEW_TREES, n_models=2, max_cells=60) for _ in range(2))
    np.testing.assert_array_equal(first.mean, again.mean)
    assert (first.spread > 0).any()


@pytest.mark.filterwarnings("ignore:trained on")
def test_markers_of_a_sample_are_the_planted_ones_and_the_number_is_kept_in_the_file(rng, tmp_path):
    adata = planted(rng, n_cells=900)
    smg.tl.smash(adata, "cell_type", n_top=3, max_cells=300, filters=NO_FILTERS, model_options={"n_estimators": 40})
    for c, found in enumerate(smg.get.markers_dict(adata).values()):
        assert sorted(found) == [f"MARKER{c}{letter}" for letter in "XYZ"]
    adata.write_h5ad(tmp_path / "x.h5ad")
    steps = slots.recorded(ad.read_h5ad(tmp_path / "x.h5ad"), "smash", "importance")
    assert steps["max_cells"] == 300
    assert Recipe.of({"importance": steps}).importance.max_cells == 300
    json.dumps(steps)


def test_a_selection_of_before_max_cells_can_be_made_again():
    noted = dict(Importance("rf").recorded)
    del noted["max_cells"]
    assert Recipe.of({"importance": noted}).importance == Importance("rf")


@pytest.mark.parametrize("max_cells", [0, 3, -5])
def test_a_sample_without_two_cells_of_two_groups_is_refused(max_cells):
    with pytest.raises(ValueError, match=f"max_cells={max_cells}.*two cells"):
        Importance("rf", max_cells=max_cells)


def test_a_sample_without_two_cells_a_group_is_refused(adata):
    with pytest.raises(ValueError, match="max_cells=5 .*two cells of each of the 3 classes"):
        scored(data_of(adata), "rf", max_cells=5)


@pytest.mark.filterwarnings("ignore:trained on")
def test_the_smallest_possible_sample_can_be_split():
    group = np.repeat([0, 1, 2], [500, 2, 2])
    names = np.array(["a", "b"], dtype=object)
    data = Dataset(np.ones((504, 2)), group, np.array(["x", "y", "z"], dtype=object), names, names)
    witness = Witness()
    scored(data, witness, max_cells=6)
    assert np.bincount(witness.seen[0][1]).tolist() == [2, 2, 2]


def test_the_sample_size_of_the_command_line_is_that_of_the_selection(adata, tmp_path, capsys):
    from smash_gpu.cli import main

    adata.write_h5ad(tmp_path / "cells.h5ad")
    arguments = ["find", str(tmp_path / "cells.h5ad"), "--groupby", "cell_type", "--max-cells", "90", "--no-figures"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "note: trained on 90 of 240 cells" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "params.json").read_text())["importance"]["max_cells"] == 90
