"""Training from cells in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from smash_gpu import models
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance

FEW = settings(max_examples=40)
N_GENES = 60
SHORT = {"xgboost": {"n_estimators": 6}, "dnn": {"max_explained": 60}}


class Witness:
    """A model that reads in parts, and remembers what it was given."""

    facts = models.Facts(reads_parts=True)

    def fit(self, X, group, split):
        self.kind, self.X, self.group, self.split = type(X), X[np.arange(len(X))], group, split
        return self

    def importance(self, X, group, split):
        return np.array([X[np.flatnonzero(group == c)].mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def options_of(model):
    if model == "dnn":
        pytest.importorskip("torch")
        from smash_gpu.models.network import Training

        return SHORT[model] | {"training": Training(max_epochs=6, batch_size=40, learning_rate=1e-2)}
    return SHORT[model]


def scored(data, model, **how):
    return scoring.importance(data, np.ones(len(data.names), dtype=bool), Importance(model, **how))


def open_files():
    """How many files the program has open, where the system says so."""
    listed = Path("/proc/self/fd")
    return len(list(listed.iterdir())) if listed.exists() else 0
