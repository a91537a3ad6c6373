"""Names of metrics and of lists of genes as figures and reports write them."""

from __future__ import annotations

LABELS = {
    "misclassification": "misclassification rate",
    "macro_1_minus_recall": "1 − macro recall",
    "macro_1_minus_precision": "1 − macro precision",
    "f1_weighted": "weighted F1",
    "f1_macro": "macro F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "cohen_kappa": "Cohen's κ",
    "mcc": "Matthews correlation",
    "f1": "F1",
    "neighbour_overlap": "overlap of neighbours",
    "cluster_nmi": "NMI of clusters",
}


def list_label(name: str, *, is_random: bool) -> str:
    """The label of a list of genes, or of the random panels that it is compared with."""
    return f"random panels like {name}" if is_random else name


def metric_label(name: str) -> str:
    """The label of a metric."""
    return LABELS.get(name, name.replace("_", " "))
