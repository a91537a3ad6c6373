"""cuML's forest on a stand-in device."""

from __future__ import annotations

import numpy as np
from strict_cupy import DeviceArray


class StandInForest:
    """Takes what cuML's forest takes on a device, and nothing else; draws cells by weight, and splits without."""

    def __init__(self, **options):
        self.options, self.max_samples = options, 1.0

    def get_params(self):
        return {"n_estimators": 100, "max_depth": 16, "n_bins": 128}

    def fit(self, X, y, sample_weight=None):
        from sklearn.tree import DecisionTreeClassifier

        assert all(isinstance(part, DeviceArray) for part in (X, y, sample_weight))
        assert (X.dtype, y.dtype, sample_weight.dtype) == (np.float32, np.int32, np.float64)
        assert 0 < self.max_samples <= 1
        X, y, weight, rng = X.get(), y.get(), sample_weight.get(), np.random.default_rng(0)
        self.drawn = [rng.choice(len(y), round(self.max_samples * len(y)), p=weight / weight.sum()) for _ in range(60)]
        trees = [
            DecisionTreeClassifier(max_features="sqrt", random_state=n).fit(X[rows], y[rows])
            for n, rows in enumerate(self.drawn)
        ]
        self.trees, self.n_groups = trees, y.max() + 1
        self.feature_importances_ = np.mean([tree.feature_importances_ for tree in trees], axis=0)
        return self

    def predict(self, X):
        assert isinstance(X, DeviceArray)
        votes = np.stack([tree.predict(X.get()) for tree in self.trees])
        return DeviceArray(np.array([np.bincount(cell, minlength=self.n_groups).argmax() for cell in votes.T]))
