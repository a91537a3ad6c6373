"""All metrics by name, computed from confusion matrices."""

from __future__ import annotations

import numpy as np

METRICS = (
    "misclassification",
    "macro_1_minus_precision",
    "macro_1_minus_recall",
    "f1_weighted",
    "f1_macro",
    "accuracy",
    "balanced_accuracy",
    "cohen_kappa",
    "mcc",
)
OVERLAP, EXPLAINED, CLUSTERS, CAPTURED = STRUCTURE = (
    "neighbour_overlap", "explained_variance", "cluster_nmi", "captured_types",
)  # fmt: skip
INSIDE = (OVERLAP, EXPLAINED)  # what structure=True asks for
PER_GROUP = ("recall", "precision", "f1")
LOWEST = dict.fromkeys(METRICS, 0.0) | {"cohen_kappa": -1.0, "mcc": -1.0, EXPLAINED: -np.inf}
LOWEST |= dict.fromkeys((OVERLAP, CLUSTERS, CAPTURED), 0.0)


def confusion_of(true: np.ndarray, predicted: np.ndarray, n_groups: int) -> np.ndarray:
    """Number of cells by true (rows) and predicted group (columns); groups × groups, int64."""
    return np.bincount(true * n_groups + predicted, minlength=n_groups**2).reshape(n_groups, n_groups)


def metrics_of_labels(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The metrics of `metrics_of` for the group codes of held-out cells."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    return metrics_of(confusion_of(true, predicted, int(max(true.max(), predicted.max())) + 1))


def metrics_of(confusion: np.ndarray) -> dict[str, float]:
    """All metrics of one confusion matrix; groups × groups, true groups in rows.

    ``misclassification`` is 1 − accuracy, as in the tables of the SMaSH paper; ``macro_1_minus_precision`` is its
    equation 1 as written; ``macro_1_minus_recall`` is 1 − macro recall; ``f1_weighted`` is weighted by group size (its
    tables); ``f1_macro`` is its equation 2 as written. ``accuracy`` is the "fraction correct" of PERSIST, scGIST and
    mfishtools; ``balanced_accuracy`` is the mean recall (the accuracy of Spapros). ``cohen_kappa`` and ``mcc``
    (Matthews, for several groups) are 0 for a prediction without information, for any group sizes. Means are over the
    groups that have cells; a group that is never predicted has precision 0.
    """
    size = confusion.sum(axis=1)
    recall, precision, f1 = per_group(confusion)[:, size > 0]
    accuracy = np.trace(confusion) / size.sum()
    kappa, mcc = _beyond_chance(confusion.astype(np.float64))
    values = (
        1 - accuracy, 1 - precision.mean(), 1 - recall.mean(), np.average(f1, weights=size[size > 0]), f1.mean(),
        accuracy, recall.mean(), kappa, mcc,
    )  # fmt: skip
    return dict(zip(METRICS, map(float, values), strict=True))


def per_group(confusion: np.ndarray) -> np.ndarray:
    """Recall, precision and F1 of every group; ``...`` × groups × groups in, 3 × ``...`` × groups out.

    A group that is never predicted has precision 0; all three are NaN for a group without cells.
    """
    part, whole = counts_per_group(confusion)
    return np.where(confusion.sum(axis=-1) > 0, part / np.maximum(whole, 1), np.nan)


def counts_per_group(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of cells whose ratio is recall, precision and F1 of every group; each 3 × ``...`` × groups."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    size, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return np.stack([hit, hit, 2 * hit]), np.stack([size, predicted, size + predicted])


def _beyond_chance(confusion: np.ndarray) -> tuple[float, float]:
    """Cohen's kappa (NaN if chance is never wrong), and Matthews' correlation (0 if one side has one group)."""
    n, hit = confusion.sum(), np.trace(confusion)
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    excess, scale = hit * n - true @ predicted, n**2 - true @ predicted
    spread = np.sqrt((n**2 - true @ true) * (n**2 - predicted @ predicted))
    return excess / scale if scale else np.nan, excess / spread if spread else 0.0
