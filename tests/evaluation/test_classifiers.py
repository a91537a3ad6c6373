"""Classifiers are those of scikit-learn, on a device those of cuML."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from smash_gpu import evaluation
from smash_gpu.data.splits import Split


@pytest.mark.parametrize("classifier", ["logreg", "forest"])
def test_classifiers_are_those_of_scikit_learn_on_z_of_the_training_cells(rng, classifier):
    group = rng.integers(0, 3, 90) * 2  # a code without cells
    X = (rng.normal(size=(90, 4)) + 0.4 * group[:, None]).astype(np.float32)
    split = Split(np.arange(60), np.arange(60, 90))
    z = np.minimum((X - X[:60].mean(axis=0)) / X[:60].std(axis=0, ddof=1), 10).astype(np.float32)
    model = {
        "logreg": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(100, random_state=4),
    }[classifier]
    expected = model.fit(z[:60], group[:60]).predict(z[60:])
    found = evaluation.predict(X, group, split, scale_on_all=False, classifier=classifier, random_state=4)
    assert (found == expected).mean() >= 29 / 30, "float32 sums may move one cell"
    assert 0 < (found != group[60:]).mean() < 0.9


def test_the_trees_follow_the_seed(rng):
    group, X = rng.integers(0, 3, 90), rng.normal(size=(90, 4)).astype(np.float32)
    split = Split(np.arange(60), np.arange(60, 90))
    first, same, other = (
        evaluation.predict(X, group, split, scale_on_all=False, classifier="forest", random_state=s).tolist()
        for s in (1, 1, 2)
    )
    assert first == same != other


@pytest.mark.parametrize("name", ["knn", "logreg", "forest"])
def test_on_a_device_cuml_is_asked_by_keywords_and_gets_codes_without_gaps(rng, monkeypatch, name):
    """The constructors' keywords stand in for cuML 26.10's own, read from its signatures."""
    known = {
        "knn": {"n_neighbors", "algorithm", "metric", "weights", "p", "n_jobs", "verbose", "output_type"},
        "logreg": {"penalty", "tol", "C", "fit_intercept", "class_weight", "max_iter", "solver", "output_type"},
        "forest": {"n_estimators", "max_depth", "max_features", "n_bins", "random_state", "n_streams", "output_type"},
    }[name]
    seen = {}

    class Fake:
        def __init__(self, **options):
            assert set(options) <= known
            seen.update(options)

        def fit(self, X, y):
            seen["labels"] = (y.dtype, sorted(set(y.tolist())), X.dtype)
            return self

        def predict(self, X):
            return np.ones(len(X), dtype=np.float32)

    places = {
        "knn": ("neighbors", "KNeighborsClassifier"),
        "logreg": ("linear_model", "LogisticRegression"),
        "forest": ("ensemble", "RandomForestClassifier"),
    }
    module = ModuleType(f"cuml.{places[name][0]}")
    setattr(module, places[name][1], Fake)
    monkeypatch.setitem(sys.modules, "cuml", ModuleType("cuml"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    group = np.tile([0, 3, 5], 10)
    X = rng.normal(size=(30, 2)).astype(np.float32)
    split = Split(np.arange(20), np.arange(20, 30))
    found = evaluation.predict(X, group, split, scale_on_all=False, classifier=name, device="cuda", random_state=3)
    assert found.tolist() == [3] * 10
    assert seen.pop("labels") == (np.int32, [0, 1, 2], np.float32)
    assert seen["output_type"] == "numpy"
    assert ("random_state" in seen) == (name == "forest")
