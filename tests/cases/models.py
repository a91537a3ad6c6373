"""Small models."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu import models

SMALL = {
    "rf": {"n_estimators": 30},
    "brf": {"n_estimators": 40},
    "xgboost": {"n_estimators": 15},
    "dnn": {"max_explained": 40},
}


def fitted(name, cells, **options):
    if name == "dnn":
        pytest.importorskip("torch")
        from smash_gpu.models.network import Training

        options = {"training": Training(batch_size=20, learning_rate=1e-2)} | options  # 113 training cells
    return models.build(name, **({"random_state": 0} | SMALL[name] | options)).fit(*cells)


def explained_by(model, cells, monkeypatch):
    """The numbers of the cells that a fitted network explains, known again by their expression."""
    from smash_gpu.models.attribution import deeplift

    X, group, split = cells
    given, original = [], deeplift.contributions
    with monkeypatch.context() as patched:
        patched.setattr(deeplift, "contributions", lambda layers, x, *how: given.append(x) or original(layers, x, *how))
        model.importance(X, group, split)
    rows = {tuple(row): number for number, row in enumerate(model._z(X[:]).tolist())}
    return [rows[tuple(row)] for row in given[0].tolist()]


class Means:
    """A model of the user's own that takes arrays of the host."""

    facts = models.Facts(score_in_words="mean expression above that of all cells")

    def fit(self, X, group, split):
        return self

    def importance(self, X, group, split):
        return np.array([X[group == c].mean(axis=0) - X.mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return np.zeros(len(X), dtype=int)
