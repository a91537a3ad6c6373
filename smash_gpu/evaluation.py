"""How well a gene list tells the groups apart: k nearest neighbours, and every reading of the metric by its name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smash_gpu.dataset import Dataset
from smash_gpu.progress import track
from smash_gpu.splits import Split
from smash_gpu.stats import mean_std, standardize

N_NEIGHBORS = 3
TEST_FRACTION = 0.3
PAPER_SEED = 42
READINGS = ("misclassification", "macro_1_minus_precision", "macro_1_minus_recall", "f1_weighted", "f1_macro")


@dataclass(frozen=True)
class Evaluation:
    """A row a split (its readings and number of genes), and true × predicted cells summed over the splits."""

    table: pd.DataFrame
    confusion: np.ndarray


def readings(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The five readings of SMaSH's M and F1 for held-out cells.

    ``misclassification`` is 1 − accuracy (the paper's tables); ``macro_1_minus_precision`` equation 1 as written;
    ``macro_1_minus_recall``; ``f1_weighted`` by group size (the tables); ``f1_macro`` equation 2 as written. Means run
    over the groups that occur in ``true``; a group that is never predicted has precision 0.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, size = precision_recall_fscore_support(
        true, predicted, labels=np.unique(true), zero_division=0
    )
    values = (
        np.mean(true != predicted), 1 - precision.mean(), 1 - recall.mean(), np.average(f1, weights=size), f1.mean()
    )  # fmt: skip
    return dict(zip(READINGS, map(float, values), strict=True))


def predict(X: np.ndarray, group: np.ndarray, split: Split, *, scale_on_all: bool) -> np.ndarray:
    """k-nearest-neighbour prediction of ``split.test`` from ``split.train`` on ``z``; cells × genes.

    ``scale_on_all`` takes the mean and deviation of ``z`` over all cells, as the paper; else over the training cells.
    """
    from sklearn.neighbors import KNeighborsClassifier

    z = standardize(X, *mean_std(X if scale_on_all else X[split.train]))
    classifier = KNeighborsClassifier(N_NEIGHBORS).fit(z[split.train], group[split.train])
    return classifier.predict(z[split.test])


def evaluate(
    data: Dataset,
    choose: Callable[[Dataset], np.ndarray],
    splits: Iterable[Split],
    *,
    scale_on_all: bool = False,
) -> Evaluation:
    """Choose genes on the training cells of each split and judge them on its held-out cells.

    Parameters
    ----------
    choose
        Gene numbers from the data with the held-out cells left out; a given list is a function that ignores its data.
    splits
        Over ``data.cells``.
    """
    confusion = np.zeros((data.n_groups, data.n_groups), dtype=np.int64)
    rows = []
    for number, split in enumerate(track(list(splits), "evaluating", unit="split")):
        genes = choose(_training_data(data, split))
        X = data.host_expression(genes)
        true, predicted = data.labels[split.test], predict(X, data.labels, split, scale_on_all=scale_on_all)
        np.add.at(confusion, (true, predicted), 1)
        rows.append({"split": number, "n_genes": len(genes), **readings(true, predicted)})
    return Evaluation(pd.DataFrame(rows), confusion)


def _training_data(data: Dataset, split: Split) -> Dataset:
    """The training cells; a group with one of them can be judged, but no model can be trained to know it."""
    sizes = np.bincount(data.labels[split.train], minlength=data.n_groups)
    alone = np.flatnonzero(sizes == 1)
    if len(alone):
        warnings.warn(
            f"{', '.join(map(str, data.groups[alone]))}: one training cell only, left out while genes are chosen.",
            stacklevel=3,
        )
    train = split.train[sizes[data.labels[split.train]] > 1]
    return data.only(data.cells[train])
