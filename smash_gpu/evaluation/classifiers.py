"""The classifiers that evaluate a gene list: scikit-learn's on the CPU, cuML's on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, take
from smash_gpu.data.splits import Split
from smash_gpu.data.standardize import mean_std, standardize
from smash_gpu.runtime.words import not_one_of

N_NEIGHBORS = 3
N_TREES = 100
MAX_ITERATIONS = 1000
CLASSIFIERS = ("knn", "logreg", "forest")


def build(classifier: str, *, device: str = "cpu", random_state: int = 0) -> Any:
    """An untrained classifier: 3 nearest neighbours, multinomial logistic regression (L2, C = 1), or 100 trees.

    Raises
    ------
    ValueError
        For any other name.
    """
    makers = {
        ("knn", "cpu"): _knn,
        ("knn", "cuda"): _knn_on_device,
        ("logreg", "cpu"): _logreg,
        ("logreg", "cuda"): _logreg_on_device,
        ("forest", "cpu"): _forest,
        ("forest", "cuda"): _forest_on_device,
    }
    check(classifier)
    return makers[classifier, device](random_state)


def check(classifier: str) -> None:
    """Raise a ValueError for a name that is not in `CLASSIFIERS`."""
    if classifier not in CLASSIFIERS:
        raise ValueError(not_one_of("classifier", classifier, CLASSIFIERS))


def predict(
    X: Any,
    group: np.ndarray,
    split: Split,
    *,
    scale_on_all: bool,
    classifier: str = "knn",
    device: str = "cpu",
    random_state: int = 0,
    training: Any = None,
) -> np.ndarray:
    """Predicted groups of ``split.test``, by a classifier trained on ``z`` of ``split.train``.

    Parameters
    ----------
    X
        Expression, cells × genes, in the memory of ``device``.
    scale_on_all
        Compute the mean and standard deviation for ``z`` over all cells, as in the paper; else over the training cells.
    training
        Expression of all cells from which ``split.train`` are taken instead; training and held-out cells are then of
        two platforms, and scaled each on their own. None: ``X``.
    """
    if training is None:
        z = standardize(X, *mean_std(X, None if scale_on_all else split.train))
        train, test = take(z, split.train), take(z, split.test)
    else:
        train, test = take(training, split.train), take(X, split.test)
        train, test = (standardize(part, *mean_std(part)) for part in (train, test))
    return label(
        train, group[split.train], test,
        classifier=classifier, device=device, random_state=random_state,
    )  # fmt: skip


def label(
    train: Any, group: np.ndarray, test: Any, *, classifier: str = "knn", device: str = "cpu", random_state: int = 0
) -> np.ndarray:
    """Groups of the cells ``test`` as a classifier predicts them that has learned ``group`` from ``train``.

    Parameters
    ----------
    train, test
        Scaled expression, cells × genes, in the memory of ``device``.
    """
    known, codes = np.unique(group, return_inverse=True)  # cuML's forest needs codes without gaps
    if len(known) == 1:
        return np.full(len(test), known[0])
    model = build(classifier, device=device, random_state=random_state)
    model.fit(train, namespace(train).asarray(codes, dtype=np.int32))
    return known[np.asarray(model.predict(test)).astype(np.int64)]


def _knn(_: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(N_NEIGHBORS)


def _knn_on_device(_: int) -> Any:
    from cuml.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=N_NEIGHBORS, output_type="numpy")


def _logreg(_: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=MAX_ITERATIONS)


def _logreg_on_device(_: int) -> Any:
    from cuml.linear_model import LogisticRegression

    return LogisticRegression(max_iter=MAX_ITERATIONS, output_type="numpy")


def _forest(random_state: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(N_TREES, n_jobs=-1, random_state=random_state)


def _forest_on_device(random_state: int) -> Any:
    from cuml.ensemble import RandomForestClassifier

    # cuML's trees are reproducible only with one stream
    return RandomForestClassifier(n_estimators=N_TREES, n_streams=1, random_state=random_state, output_type="numpy")
