"""Classes learned from a reference, given to cells in tissue: panels between random ones and all measured genes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import namespace, take
from smash_gpu.data.standardize import in_parts, mean_std, standardize
from smash_gpu.evaluation import random_panels
from smash_gpu.evaluation.classifiers import label
from smash_gpu.evaluation.cross_validation import RANDOM
from smash_gpu.evaluation.judging import Transferring
from smash_gpu.evaluation.metrics import confusion_of, metrics_of
from smash_gpu.runtime.progress import track

ALL = "all measured genes"
SCORE = "balanced_accuracy"
UNKNOWN = -1
GENES_AT_ONCE = 2048  # that are scaled in float64


@dataclass(frozen=True)
class Side:
    """One of the two data sets.

    Attributes
    ----------
    X
        Expression of the genes that both have, cells × genes, dense, on host or device; `transfer` scales it in place.
    codes
        Class of each cell, numbered as in ``classes`` of `transfer`; −1 for none.
    """

    X: Any
    codes: np.ndarray


@dataclass(frozen=True)
class Transfer:
    """Results.

    Attributes
    ----------
    table
        One row per list, number of genes, classifier and random panel (0: the list itself), the ceiling last.
    confusions
        Cells of the tissue by true (rows) and predicted class; rows of ``table`` × classes × classes.
    predicted
        Class of every cell of the tissue, one column per row of ``table`` with its number in ``column``.
    """

    table: pd.DataFrame
    confusions: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class _Case:
    genes: str
    random: int
    n_genes: int
    order: np.ndarray


def transfer(
    reference: Side,
    tissue: Side,
    lists: Mapping[str, np.ndarray],
    *,
    names: np.ndarray,
    n_classes: int,
    how: Transferring,
) -> Transfer:
    """Fit on the reference, label every cell of the tissue, and judge the cells whose class is known.

    Each data set is scaled by its own means and standard deviations, which takes out what a platform does to a gene as
    a whole: a factor on its values, or a shift.

    Parameters
    ----------
    lists
        Ordered columns of ``X`` by name.
    names
        Names of these columns.
    """
    known = np.flatnonzero(reference.codes != UNKNOWN)
    judged = np.flatnonzero(tissue.codes != UNKNOWN)
    mean, _ = (_scale(side.X) for side in (reference, tissue))
    bins = random_panels.expression_bins(mean, names)
    rows, confusions, labels = list[dict](), list[np.ndarray](), list[np.ndarray]()
    cases = list(product(_cases(lists, names, bins, how), how.classifiers))
    for case, classifier in track(cases, "labelling", unit="panel"):
        columns = np.sort(case.order)
        found = label(
            _part(reference.X, known, columns), reference.codes[known], _columns(tissue.X, columns),
            classifier=classifier, device=how.device, random_state=how.random_state,
        )  # fmt: skip
        confusion = confusion_of(tissue.codes[judged], found[judged], n_classes)
        row = {"genes": case.genes, "random": case.random, "n_genes": case.n_genes, "n_used": len(columns)}
        row |= {"classifier": classifier, "column": UNKNOWN if case.random else len(labels)}
        rows.append(row | metrics_of(confusion))
        confusions.append(confusion)
        labels += [] if case.random else [found.astype(np.int32)]
    return Transfer(pd.DataFrame(rows), np.array(confusions, dtype=np.int32), np.stack(labels, axis=1))


def relative(table: pd.DataFrame) -> pd.DataFrame:
    """One row per list, number of genes and classifier, with where it lies between random panels and the ceiling.

    ``random``: mean `SCORE` of its random panels; ``ceiling``: that of all measured genes; ``relative``: 0 at the first
    and 1 at the second, NaN without random panels.
    """
    own = table[(table["random"] == 0) & (table["genes"] != ALL)].drop(columns=["random", "column"])
    case = ["genes", "n_genes", "classifier"]
    chance = table[table["random"] > 0].groupby(case)[SCORE].mean().rename("random").reset_index()
    ceiling = table[table["genes"] == ALL].set_index("classifier")[SCORE]
    found = own.merge(chance, on=case, how="left")
    found["ceiling"] = found["classifier"].map(ceiling)
    room = (found["ceiling"] - found["random"]).where(lambda gap: gap > 0)
    found["relative"] = (found[SCORE] - found["random"]) / room
    return found


def _cases(lists: Mapping[str, np.ndarray], names: np.ndarray, bins: np.ndarray, how: Transferring) -> Iterator[_Case]:
    for name, order in lists.items():
        for n in how.n_genes or (len(order),):
            yield _Case(name, 0, n, order[:n])
        for draw in range(1, how.n_random + 1):
            random = random_panels.matched_panel(order, bins, names, (how.random_state, RANDOM, draw))
            for n in how.n_genes or (len(order),):
                yield _Case(name, draw, n, random[:n])
    yield _Case(ALL, 0, len(names), np.arange(len(names)))


def _scale(X: Any) -> np.ndarray:
    """Put z-scores in the place of expression, a part of the genes at a time; returns the mean of every gene."""
    means = []
    for start in range(0, X.shape[1], GENES_AT_ONCE):
        genes = X[:, start : start + GENES_AT_ONCE]
        mean, std = mean_std(genes)
        for part, _ in in_parts(genes, None):
            standardize(part, mean, std, into=part)
        means.append(mean)
    return np.concatenate(means)


def _part(z: Any, cells: np.ndarray, columns: np.ndarray) -> Any:
    chosen = _columns(z, columns)
    return chosen if len(cells) == len(z) else take(chosen, cells)


def _columns(z: Any, columns: np.ndarray) -> Any:
    """In the order of rows, in which classifiers would copy it otherwise; all columns are not copied."""
    xp = namespace(z)
    return z if len(columns) == z.shape[1] else xp.take(z, xp.asarray(columns), axis=1)
