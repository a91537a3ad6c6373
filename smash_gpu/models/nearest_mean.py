"""The nearest class mean: the simplest classifier, with which every model is compared on its held-out cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.data.standardize import in_parts


@dataclass(frozen=True)
class NearestMean:
    """Predicts the class whose mean is nearest, each gene in units of its standard deviation.

    Attributes
    ----------
    mean
        Mean expression of every class; classes × genes.
    std
        Standard deviation of every gene over all classes; 0 leaves the gene out.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, X: Any, group: np.ndarray, cells: np.ndarray, n_groups: int) -> Self:
        """Of the numbered cells of dense expression, part by part."""
        xp = namespace(X)
        total, square = xp.zeros((n_groups, X.shape[1])), xp.zeros(X.shape[1])
        for part, rows in in_parts(X, cells):
            total += xp.eye(n_groups, dtype=part.dtype)[xp.asarray(group[rows])].T @ part
            square += (part**2).sum(axis=0)
        sums, sizes = to_host(total), np.bincount(group[cells], minlength=n_groups)
        variance = to_host(square) / len(cells) - (sums.sum(axis=0) / len(cells)) ** 2
        return cls(sums / np.maximum(sizes, 1)[:, None], np.sqrt(np.maximum(variance, 0)))

    def predict(self, X: Any) -> np.ndarray:
        """The class code of each cell."""
        xp = namespace(X)
        scale = np.divide(1, self.std, out=np.zeros_like(self.std), where=self.std > 0)
        centre = self.mean * scale
        onto = xp.asarray((centre * scale).T, dtype=X.dtype)
        length = xp.asarray((centre**2).sum(axis=1) / 2, dtype=X.dtype)
        found = [to_host((part @ onto - length).argmax(axis=1)) for part, _ in in_parts(X, None)]
        return np.concatenate(found) if found else np.zeros(0, dtype=int)


def right_by_group(true: np.ndarray, predicted: np.ndarray, n_groups: int) -> np.ndarray:
    """How many cells of every class are predicted as it; int64."""
    return np.bincount(true[np.asarray(predicted) == true], minlength=n_groups)


def held_out(true: np.ndarray, right: np.ndarray, nearest: np.ndarray) -> dict[str, Any]:
    """Accuracy of a model on its held-out cells.

    Parameters
    ----------
    true
        Class code of each held-out cell.
    right, nearest
        Cells of every class that the model and the nearest class mean predict right.

    Returns
    -------
    ``accuracy``, ``group_accuracy`` (NaN for a class without held-out cells), and ``nearest_mean``, the accuracy of the
    nearest class mean.
    """
    cells = np.bincount(true, minlength=len(right))
    by_group = np.divide(right, cells, out=np.full(len(right), np.nan), where=cells > 0)
    return {
        "accuracy": right.sum() / len(true), "group_accuracy": by_group, "nearest_mean": nearest.sum() / len(true)
    }  # fmt: skip


def not_held_out(n_groups: int) -> dict[str, Any]:
    """What `held_out` returns where nobody asks: NaN."""
    return {"accuracy": np.nan, "group_accuracy": np.full(n_groups, np.nan), "nearest_mean": np.nan}
