"""Four models: the paper's settings, repeatability, and models of users."""

from __future__ import annotations

import numpy as np
import pytest
from cases.models import fitted

from smash_gpu import models
from smash_gpu.data.splits import Split


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_finds_the_gene_of_each_group(name, cells):
    model = fitted(name, cells)
    scores = model.importance(*cells)
    assert scores.shape == (3, 20)
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    X, group, split = cells
    assert (model.predict(X[split.test]) == group[split.test]).mean() > 0.8


@pytest.mark.parametrize("name", models.MODELS)
def test_one_seed_gives_one_result_and_leaves_the_global_state_alone(name, cells):
    import random

    first = fitted(name, cells).importance(*cells)
    if name == "dnn":
        import torch

        torch.manual_seed(7)
        torch_before = torch.random.get_rng_state()
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    second = fitted(name, cells).importance(*cells)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]
    if name == "dnn":
        assert torch.equal(torch.random.get_rng_state(), torch_before)


@pytest.mark.parametrize("name", ["rf", "brf", "dnn"])
def test_another_seed_gives_another_result(name, cells):
    first, second = (fitted(name, cells, random_state=seed).importance(*cells) for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.slow
def test_dart_without_a_drop_rate_is_gbtree(cells):
    X, group, split = cells
    trees, dart = (fitted("xgboost", cells, booster=booster) for booster in ("gbtree", "dart"))
    np.testing.assert_array_equal(dart.importance(X, group, split), trees.importance(X, group, split))
    np.testing.assert_allclose(dart.booster.inplace_predict(X), trees.booster.inplace_predict(X), rtol=1e-5)


def test_xgboost_has_the_papers_settings():
    model = models.build("xgboost", random_state=0)
    assert model.n_estimators == 200
    assert (model.params["max_depth"], model.params["learning_rate"]) == (9, 0.25)


def test_gain_is_that_of_xgboosts_own_classifier(cells):
    from xgboost import XGBClassifier

    X, group, split = cells
    own = XGBClassifier(n_estimators=15, max_depth=9, learning_rate=0.25, random_state=0)
    own.fit(X[split.train], group[split.train])
    ours = fitted("xgboost", cells, max_bin=256, importance="gain").gain(20)
    np.testing.assert_allclose(ours, own.feature_importances_, rtol=1e-4, atol=1e-7)


def test_a_forest_grown_in_steps_is_the_forest_grown_at_once(cells):
    from sklearn.ensemble import RandomForestClassifier

    from smash_gpu.models.forest import grow

    X, group, split = cells
    stepwise, once = (RandomForestClassifier(60, random_state=0) for _ in range(2))
    grow(stepwise, X, group)
    once.fit(X, group)
    np.testing.assert_array_equal(stepwise.feature_importances_, once.feature_importances_)


@pytest.mark.parametrize("name", ["rf", "brf"])
def test_forests_draw_cells_alike_and_weigh_them_when_splitting(name, cells):
    """The meaning that class weights had in 2021: the root of a tree holds its bootstrap, weighted by class."""
    X, group, split = cells
    model = fitted(name, cells)
    sizes = np.bincount(group[split.train])
    weight = len(split.train) / (3 * sizes)
    roots = np.array([tree.tree_.value[0, 0] * tree.tree_.weighted_n_node_samples[0] for tree in model.estimator])
    drawn = roots / weight  # cells of each class in each bootstrap
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-6)
    expected = sizes if name == "rf" else np.full(3, sizes.min())
    np.testing.assert_allclose(drawn.mean(axis=0), expected, rtol=0.25)


def test_forests_have_the_papers_settings():
    rf, brf = (models.build(name, random_state=0).estimator for name in ("rf", "brf"))
    assert (rf.n_estimators, rf.max_depth) == (100, None)
    assert (brf.n_estimators, brf.max_depth) == (200, 50)
    assert (brf.sampling_strategy, brf.replacement, brf.bootstrap) == ("all", False, True)


def test_a_gene_that_is_low_in_a_group_is_its_marker_only_where_shapley_values_stand_alone(cells):
    X, group, split = cells
    alone = fitted("dnn", cells, by_expression=False).importance(*cells)
    weighed = fitted("dnn", cells).importance(*cells)
    train = X[split.train]
    z = (train - train.mean(axis=0)) / train.std(axis=0, ddof=1)
    mean_z = np.array([np.minimum(z, 10)[group[split.train] == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(weighed, alone * mean_z, rtol=1e-4, atol=1e-7)
    assert (alone >= 0).all()
    assert (weighed[mean_z < 0] <= 0).all()


def test_a_scikit_learn_estimator_can_be_the_model(cells):
    from sklearn.ensemble import ExtraTreesClassifier

    from smash_gpu.models.forest import Forest

    scores = Forest(ExtraTreesClassifier(20, random_state=0)).fit(*cells).importance(*cells)
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]


class Difference:
    """A model of one's own: distance of the class mean from the mean of all."""

    def fit(self, X, group, split: Split):
        return self

    def importance(self, X, group, split):
        return np.array([X[group == c].mean(axis=0) - X.mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return X[:, :3].argmax(axis=1)


def test_an_object_with_the_three_methods_is_a_model(cells):
    model = models.build(Difference(), random_state=0)
    assert isinstance(model, models.Model)
    assert model.fit(*cells).importance(*cells).argmax(axis=1).tolist() == [0, 1, 2]


def test_what_is_no_model_is_refused_with_what_it_lacks():
    with pytest.raises(ValueError, match="'svm' is not one of rf, brf, xgboost, dnn"):
        models.build("svm", random_state=0)
    with pytest.raises(TypeError, match="lacks fit, importance, predict"):
        models.build(object(), random_state=0)
    with pytest.raises(ValueError, match="model_options \\['n_estimators'\\] need a model given by name"):
        models.build(Difference(), random_state=0, n_estimators=3)


def test_trees_found_on_numbers_of_bins_are_those_found_on_values(rng):
    """So do the workers of a cluster find them: with the cut points of one machine (`smash_gpu.models.on_cluster`)."""
    import json

    from xgboost import QuantileDMatrix, train

    from smash_gpu.models.on_cluster import bins as on_cluster_bins

    y, X = rng.integers(0, 3, 300), rng.gamma(0.5, 2.0, (300, 7)).astype(np.float32)
    X[rng.random(X.shape) < 0.5] = 0
    X[:, 2] = 1.0  # never varies
    X[:, 3] = rng.integers(0, 3, 300)  # fewer values than bins
    params = {"objective": "multi:softprob", "num_class": 3, "max_bin": 16, "max_depth": 4}
    cuts = on_cluster_bins.cut_points(X, y, None, 16)
    bins = on_cluster_bins.bins(X, cuts)
    assert bins.dtype == np.uint8

    def trees(booster):
        return json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]

    direct = train(params, QuantileDMatrix(X, y, max_bin=16), 5)
    found = on_cluster_bins.of_values(train(params, QuantileDMatrix(bins, y, max_bin=16), 5), cuts)
    assert trees(found) == trees(direct)
    np.testing.assert_array_equal(found.inplace_predict(X), direct.inplace_predict(X))
