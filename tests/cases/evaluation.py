"""Metrics and nearest neighbours by plain loops."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

from smash_gpu.data.splits import Split

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
FEW_TREES = {"n_estimators": 10}


def plain_metrics(true, predicted):
    """Every metric by counting pairs in a double loop; kappa and Matthews' correlation by scikit-learn."""
    precision, recall, f1, size = [], [], [], []
    for group in sorted(set(true)):
        hit = wrong = missed = 0
        for t, p in zip(true, predicted, strict=True):
            hit += t == group and p == group
            wrong += t != group and p == group
            missed += t == group and p != group
        precision.append(hit / (hit + wrong) if hit + wrong else 0.0)
        recall.append(hit / (hit + missed))
        f1.append(2 * hit / (2 * hit + wrong + missed))
        size.append(hit + missed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa, mcc = cohen_kappa_score(true, predicted), matthews_corrcoef(true, predicted)
    return {
        "misclassification": sum(t != p for t, p in zip(true, predicted, strict=True)) / len(true),
        "macro_1_minus_precision": 1 - sum(precision) / len(precision),
        "macro_1_minus_recall": 1 - sum(recall) / len(recall),
        "f1_weighted": sum(f * n for f, n in zip(f1, size, strict=True)) / len(true),
        "f1_macro": sum(f1) / len(f1),
        "accuracy": sum(t == p for t, p in zip(true, predicted, strict=True)) / len(true),
        "balanced_accuracy": sum(recall) / len(recall),
        "cohen_kappa": kappa,
        "mcc": mcc,
    }


def plain_neighbours(X, group, split, reference):
    """k = 3 by sorting all distances, on z cut at 10; ``reference`` is the cells that mean and deviation come from."""
    std = X[reference].std(axis=0, ddof=1)
    z = np.minimum((X - X[reference].mean(axis=0)) / std, 10)
    predicted = []
    for cell in split.test:
        nearest = sorted(split.train, key=lambda other, cell=cell: ((z[cell] - z[other]) ** 2).sum())[:3]
        votes = np.bincount(group[nearest])
        predicted.append(int(np.flatnonzero(votes == votes.max())[0]))
    return predicted


def fold_of_cells(rng, n=60):
    cells = rng.permutation(n)
    return Split(np.sort(cells[n // 3 :]), np.sort(cells[: n // 3]))
