"""A selection on a cluster is that of one machine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases.cluster import FEW_TREES, PLACES, assert_same_selection, cluster_of, codes, smash, uneven

import smash_gpu as smg
from smash_gpu.data import shuffle, splits
from smash_gpu.data.dataset import Dataset
from smash_gpu.models.nearest_mean import NearestMean
from smash_gpu.models.on_cluster import boosted

pytest.importorskip("distributed")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["h5ad", "zarr", "uneven"])
@pytest.mark.parametrize("model", ["rf", "xgboost"])
def test_a_selection_is_that_of_one_machine(client, cells, stored, alone, model, where):
    found = smash(cells, PLACES[where](cells, stored), model)
    assert_same_selection(found, alone(model), exact=model == "rf")


@pytest.mark.slow
def test_a_consensus_is_that_of_one_machine(client, cells, stored):
    """Trees boosted on the workers give no AUC, so it is that of the forest."""
    how = {"model": ["xgboost", "rf"], "model_options": dict.fromkeys(("xgboost", "rf"), FEW_TREES)}
    found, expected = (smash(cells, X, **how) for X in (PLACES["h5ad"](cells, stored), cells.X))
    assert smg.get.markers_dict(found) == smg.get.markers_dict(expected)
    np.testing.assert_array_equal(found.varm["smash_score_rf"], expected.varm["smash_score_rf"])
    np.testing.assert_array_equal(found.varm["smash_auc"], expected.varm["smash_auc"])
    assert smg.get.markers(found)["agreement"].tolist() == smg.get.markers(expected)["agreement"].tolist()


def trees(booster):
    return json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"importance": "shap"}], ids=str)
def test_boosted_trees_are_those_of_one_machine(client, cells, monkeypatch, options, n_blocks):
    assert_boosted_as_on_one_machine(cells, monkeypatch, options, n_blocks)


@pytest.mark.slow
def test_boosting_on_a_cluster_stops_where_it_stops_on_one_machine(client, cells, monkeypatch):
    options = {"n_estimators": 100, "early_stopping_rounds": 2, "learning_rate": 0.6}
    far = assert_boosted_as_on_one_machine(cells, monkeypatch, options, n_blocks=1)
    assert far.booster.num_boosted_rounds() < 98
    far = assert_boosted_as_on_one_machine(cells, monkeypatch, options | {"early_stopping_rounds": None}, n_blocks=1)
    assert far.booster.num_boosted_rounds() == 100


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 3])
def test_boosted_trees_do_not_depend_on_the_number_of_workers(cells, monkeypatch, n_workers):
    with cluster_of(n_workers):
        for class_weight in (None, "balanced"):
            assert_boosted_as_on_one_machine(cells, monkeypatch, {"class_weight": class_weight}, n_blocks=1)


def assert_boosted_as_on_one_machine(cells, monkeypatch, options, n_blocks):
    from smash_gpu.models.boosted import Boosted

    group, genes = codes(cells), np.arange(3, 60)
    monkeypatch.setattr(shuffle, "BYTES_PER_BLOCK", -(-4 * (group >= 0).sum() * len(genes) // n_blocks))
    names = cells.var_names.to_numpy()
    here = Dataset(cells.X, group, np.array(list("abc")), names, names)
    there = Dataset(uneven(cells, None), group, here.groups, names, names)
    order = shuffle.shuffled(len(here.cells), len(genes))
    split, y = splits.stratified(here.labels[order]), here.labels[order]
    model, far = (Boosted(**({"n_estimators": 5} | options)) for _ in range(2))
    X = here.expression(genes, order=order)
    scores = model.fit(X, y, split).importance(X, y, split)
    overall = model.global_importance(X, y, split)

    assert boosted.can_stay(there, far)
    found = boosted.boost(there, genes, order, model=far, split=split)

    assert trees(far.booster) == trees(model.booster)
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["importance"], overall, rtol=1e-6)
    right = model.predict(X[split.test]) == y[split.test]
    assert found["accuracy"] == np.mean(right)
    assert found["group_accuracy"].tolist() == [np.mean(right[y[split.test] == c]) for c in range(3)]
    simple = NearestMean.of(X, y, split.train, 3).predict(X[split.test])
    assert found["nearest_mean"] == np.mean(simple == y[split.test])
    return far


@pytest.mark.slow
def test_xgboost_trains_on_this_machine_where_workers_would_find_other_trees(client, cells):
    from smash_gpu.models.boosted import Boosted

    names, group = cells.var_names.to_numpy(), codes(cells)
    data = Dataset(uneven(cells, None), group, np.array(list("abc")), names, names)
    assert not boosted.can_stay(data, Boosted(subsample=0.5)), "each worker would draw for itself"
    assert not boosted.can_stay(data, Boosted(booster="dart"))
    assert boosted.can_stay(data, Boosted())
