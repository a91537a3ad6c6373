"""Four models: the paper's settings, repeatability, and models of users."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cases.models import fitted
from cases.unequal import planted_markers, unequal_classes

from smash_gpu import models
from smash_gpu.data.splits import Split
from smash_gpu.models.forest import ClassWeightedForest


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
    model = models.build("xgboost", random_state=0, **models.MODELS["xgboost"].paper)
    assert (model.n_estimators, model.early_stopping_rounds) == (200, None)
    assert (model.params["max_depth"], model.params["learning_rate"]) == (9, 0.25)


@pytest.mark.parametrize("options", [{}, {"tree_method": "exact"}, {"class_weight": "balanced"}], ids=str)
def test_boosting_stops_by_the_loss_on_the_held_out_cells(cells, rng, options):
    """It keeps the trees up to the last loss that was smaller by ``tol`` before so many rounds without one."""
    X, group, split = cells
    group = np.where(rng.random(len(group)) < 0.2, rng.permutation(group), group)
    cells = X, group, split
    how = options | {"n_estimators": 40, "learning_rate": 0.8}
    everything = fitted("xgboost", cells, early_stopping_rounds=None, **how).booster
    assert everything.num_boosted_rounds() == 40
    weight = models.Boosted(**options).weight(group[split.test])
    right = [
        everything.inplace_predict(X[split.test], iteration_range=(0, n))[np.arange(len(split.test)), group[split.test]]
        for n in range(1, 41)
    ]
    losses = np.array([np.average(-np.log(p), weights=weight) for p in right])
    for patience, tol in ((1, 0.0), (3, 0.0), (2, 0.02)):
        kept = fitted("xgboost", cells, early_stopping_rounds=patience, tol=tol, **how).booster
        best = 0
        for number, loss in enumerate(losses):
            best = number if loss < losses[best] - tol else best
            if number - best >= patience:
                break
        assert kept.num_boosted_rounds() == best + 1 < 40
        assert kept.get_dump() == everything[: kept.num_boosted_rounds()].get_dump()


def test_boosting_without_held_out_cells_does_all_rounds(cells):
    X, group, split = cells
    model = fitted("xgboost", (X, group, Split(split.train, split.test[:0])))
    assert model.booster.num_boosted_rounds() == 15


def test_gain_is_that_of_xgboosts_own_classifier(cells):
    from xgboost import XGBClassifier

    X, group, split = cells
    own = XGBClassifier(n_estimators=15, max_depth=9, learning_rate=0.25, random_state=0)
    own.fit(X[split.train], group[split.train])
    ours = fitted("xgboost", cells, max_bin=256, importance="gain", early_stopping_rounds=None).gain(20, "gain")
    np.testing.assert_allclose(ours, own.feature_importances_, rtol=1e-4, atol=1e-7)


def test_a_forest_grown_in_steps_is_the_forest_grown_at_once(cells):
    from sklearn.ensemble import RandomForestClassifier

    from smash_gpu.models.forest import grow

    X, group, split = cells
    stepwise, once = (RandomForestClassifier(60, random_state=0) for _ in range(2))
    grow(stepwise, X, group)
    once.fit(X, group)
    np.testing.assert_array_equal(stepwise.feature_importances_, once.feature_importances_)


PAPER = models.MODELS["brf"].paper


@pytest.mark.parametrize(("name", "options"), [("rf", {}), ("brf", PAPER)])
def test_forests_draw_cells_alike_and_weigh_them_when_splitting(name, options, cells):
    """The meaning that class weights had in 2021: the root of a tree holds its bootstrap, weighted by class."""
    X, group, split = cells
    model = fitted(name, cells, **options)
    sizes = np.bincount(group[split.train])
    weight = len(split.train) / (3 * sizes)
    drawn = at_roots(model) / weight  # cells of each class in each bootstrap
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-6)
    expected = sizes if name == "rf" else np.full(3, sizes.min())
    np.testing.assert_allclose(drawn.mean(axis=0), expected, rtol=0.25)


@pytest.mark.parametrize("min_drawn", [0, 20, 50])
def test_a_tree_of_the_balanced_forest_sees_as_many_cells_of_every_class(min_drawn, cells):
    """Unless a class has fewer than ``min_drawn``; without class weights on top."""
    X, group, split = cells
    drawn = at_roots(fitted("brf", cells, min_drawn=min_drawn))
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-6)
    sizes = np.bincount(group[split.train])
    expected = np.minimum(sizes, max(min_drawn, sizes.min()))
    assert (drawn.sum(axis=1) == expected.sum()).all()
    np.testing.assert_allclose(drawn.mean(axis=0), expected, rtol=0.25)


def at_roots(model):
    """The weight of each class in each tree."""
    roots = [tree.tree_.value[0, 0] * tree.tree_.weighted_n_node_samples[0] for tree in model.estimator]
    return np.array(roots)


def test_forests_have_the_papers_settings():
    rf, brf = (models.build(name, random_state=0, **models.MODELS[name].paper) for name in ("rf", "brf"))
    assert isinstance(rf, ClassWeightedForest)
    assert isinstance(brf, ClassWeightedForest)
    assert (rf.estimator.n_estimators, rf.estimator.max_depth) == (100, None)
    assert (rf.estimator.max_samples, rf.most_drawn) == (None, None)
    assert models.build("rf", random_state=0).estimator.max_depth is None
    assert (brf.estimator.n_estimators, brf.estimator.max_depth) == (200, 50)
    assert (brf.estimator.replacement, brf.estimator.bootstrap) == (False, True)
    sizes = np.repeat([0, 1, 2], [90, 40, 12])
    assert brf.estimator.sampling_strategy(sizes) == {0: 12, 1: 12, 2: 12}


@pytest.mark.slow
@pytest.mark.parametrize("name", models.MODELS)
def test_classes_of_10_to_1000_cells_are_learnt(name):
    X, group, split = unequal_classes()
    model = fitted(name, (X, group, split))
    assert (model.predict(X[split.test]) == group[split.test]).mean() > 0.85
    assert planted_markers(model.importance(X, group, split)) > 0.85


def test_a_gene_that_is_low_in_a_group_is_its_marker_only_where_shapley_values_stand_alone(cells):
    X, group, split = cells
    alone = fitted("dnn", cells, by_expression=False).importance(*cells)
    weighed = fitted("dnn", cells).importance(*cells)
    of = [X[split.train][group[split.train] == c].astype(float) for c in range(3)]
    mean, variance = np.array([one.mean(axis=0) for one in of]), np.array([one.var(axis=0) for one in of])
    separation = np.zeros((3, 20))
    for c in range(3):
        for b in range(3):
            s = (mean[c] - mean[b]) ** 2 / (variance[c] + variance[b] + 0.05)
            separation[c] += np.sign(mean[c] - mean[b]) * (1 - np.exp(-s / 2))
    np.testing.assert_allclose(weighed, alone * separation, rtol=1e-4, atol=1e-7)
    assert (alone >= 0).all()
    assert (weighed[separation < 0] <= 0).all()


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


class Says:
    """A model that says this about every gene."""

    def __init__(self, by_group):
        self.by_group = np.array(by_group, dtype=float)

    def importance(self, X, group, split):
        return self.by_group


def test_missing_importances_of_a_group_count_nothing_for_all_groups_together(cells):
    by_group = np.ones((3, 20))
    by_group[0] = np.nan
    by_group[:, 7] = np.nan
    expected = np.full(20, 2 / 3)
    expected[7] = 0
    np.testing.assert_allclose(models.importances(Says(by_group), *cells)[1], expected)


def test_infinite_importances_are_refused(cells):
    by_group = np.ones((3, 20))
    by_group[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"^the importance of the model must be finite .*infinite or missing values"):
        models.importances(Says(by_group), *cells)


def test_what_is_no_model_is_refused_with_what_it_lacks():
    with pytest.raises(ValueError, match="'svm' is not one of rf, brf, xgboost, dnn"):
        models.build("svm", random_state=0)
    with pytest.raises(TypeError, match="lacks fit, importance, predict"):
        models.build(object(), random_state=0)
    with pytest.raises(ValueError, match="model_options \\['n_estimators'\\] need a model given by name"):
        models.build(Difference(), random_state=0, n_estimators=3)


@pytest.mark.slow
@pytest.mark.parametrize(("own", "used"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_threads_of_xgboost_do_not_spin_beside_a_busy_process(own, used):
    """What OpenMP says when XGBoost loads it; a policy of one's own stays."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment.pop("GOMP_SPINCOUNT", None)
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | ({"OMP_WAIT_POLICY": own} if own else {})
    code = "import smash_gpu, xgboost"
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert re.search(f"OMP_WAIT_POLICY ?= ?'{used}'", ended.stderr)
    spins = re.search("GOMP_SPINCOUNT ?= ?'([^']*)'", ended.stderr)
    assert spins is None or (spins[1] == "3000") == (own is None)


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
