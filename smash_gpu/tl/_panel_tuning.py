"""The settings of `tl.panel` by cross-validation inside the cells that it is given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu import evaluation
from smash_gpu import panel as design
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split, draw
from smash_gpu.data.stages import Work
from smash_gpu.panel import Level, Request
from smash_gpu.panel.problem import learned, prepare, refitted, summed_of
from smash_gpu.runtime.progress import track

Setting = Mapping[str, float]
OF_PAIRS: tuple[Setting, ...] = (
    {}, {"prior": 0.5}, {"tau": 0.4, "prior": 0.5}, {"tau": 0.6, "prior": 0.5}, {"tau": 0.2},
)  # fmt: skip  # τ per gene
WEIGHTS = (0.05, 0.1)  # of the variation
N_FOLDS = 5
MOST_CELLS = 5000
LEAST_TAU = 2.0


def tuned(
    data: Dataset, levels: list[Level], request: Request, *, random_state: int, **how: Any
) -> tuple[Request, pd.DataFrame]:
    """The request with the best of some settings, and the share of cells that each of them misclassifies.

    First τ and the prior of the pairs, then the weight of the variation: the largest that costs no cell. What the user
    set stays. A panel is chosen on four fifths of the cells, by the rules and caps of all of them, and kNN(3) on its
    genes and the existing ones predicts the others; of more than `MOST_CELLS` cells a sample is used.

    Parameters
    ----------
    how
        What `prepare` takes.
    """
    folds = _Folds(data, levels, request, random_state, how)
    pairs = [setting for setting in OF_PAIRS if all(_is_open(request, name) for name in setting)]
    wrong = folds.errors(pairs)
    best = int(np.argmin(wrong))
    if not request.variation:
        more: list[Setting] = [{**pairs[best], "variation": weight} for weight in WEIGHTS]
        errors = folds.errors(more)
        free = np.flatnonzero(errors <= wrong[best])
        best = len(pairs) + int(free[-1]) if len(free) else best
        pairs, wrong = [*pairs, *more], np.append(wrong, errors)
    asked = [folds.asked(setting) for setting in pairs]
    table = pd.DataFrame(
        {
            "tau": [np.nan if one.tau is None else one.tau for one in asked],
            "prior": [one.prior for one in asked],
            "variation": [one.variation for one in asked],
            "misclassification": wrong,
            "chosen": np.arange(len(pairs)) == best,
        }
    )
    return asked[best], table


def _is_open(request: Request, name: str) -> bool:
    """Whether the user left a setting open; τ of a nested list grows with it."""
    return not (name == "tau" and request.nested) and getattr(request, name) == getattr(Request(), name)


class _Folds:
    """The cells in `N_FOLDS` parts, each of which is held out once."""

    def __init__(
        self, data: Dataset, levels: list[Level], request: Request, random_state: int, how: Mapping[str, Any]
    ) -> None:
        from sklearn.model_selection import StratifiedKFold

        cells = draw(data.group, data.cells, MOST_CELLS, random_state, balanced=False)
        self.data = replace(data.only(cells), work=Work())
        self.levels = [_of_cells(level, cells) for level in levels]
        self.request, self.importance = request, how.get("importance")
        self.whole = prepare(self.data, self.levels, request, **how)
        with warnings.catch_warnings():  # of classes with fewer cells than folds
            warnings.simplefilter("ignore", UserWarning)
            folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=random_state)
            self.splits = [Split(*parts) for parts in folds.split(self.data.labels, self.data.labels)]

    def asked(self, setting: Setting) -> Request:
        """The request with these settings."""
        size = self.request.n_genes + len(self.whole.found.existing)
        chosen: dict[str, Any] = dict(setting)
        if "tau" in chosen:
            chosen["tau"] = max(LEAST_TAU, chosen["tau"] * size)
        return replace(self.request, **chosen)

    def errors(self, settings: Sequence[Setting]) -> np.ndarray:
        """The share of the cells that kNN on the panel of each setting misclassifies."""
        asked = [self.asked(setting) for setting in settings]
        panels = [self._panels(split, asked) for split in track(self.splits, "tuning", unit="fold")]
        genes = np.unique(np.concatenate([panel for of_fold in panels for panel in of_fold]))
        X = self.data.host_expression(genes)
        wrong = [
            [self._error(X[:, np.searchsorted(genes, np.sort(panel))], split) for panel in of_fold]
            for split, of_fold in zip(self.splits, panels, strict=True)
        ]
        return np.mean(wrong, axis=0)

    def _panels(self, split: Split, asked: Sequence[Request]) -> list[np.ndarray]:
        """The panel of each request, with the existing genes, from the training cells."""
        levels = [_of_cells(level, self.data.cells[split.train]) for level in self.levels]
        largest = max(asked, key=lambda request: request.variation)
        summed, classes = summed_of(self.data, levels)
        objective, variation = learned(
            summed, classes, levels, largest, found=self.whole.found, known=self.whole.genes, importance=self.importance
        )
        problems = [refitted(self.whole, objective, variation, levels, request) for request in asked]
        return [design.design(problem).whole for problem in problems]

    def _error(self, X: np.ndarray, split: Split) -> float:
        """Mean over the label columns, by their weights."""
        total = sum(level.weight for level in self.levels)
        errors = (_misclassified(X, level.code[self.data.cells], split) * level.weight for level in self.levels)
        return sum(errors) / total


def _misclassified(X: np.ndarray, labels: np.ndarray, split: Split) -> float:
    """The share of the labelled held-out cells."""
    kept = Split(*(cells[labels[cells] >= 0] for cells in (split.train, split.test)))
    predicted = evaluation.predict(X, labels, kept, scale_on_all=False)
    return float(np.mean(predicted != labels[kept.test])) if len(kept.test) else 0.0


def _of_cells(level: Level, cells: np.ndarray) -> Level:
    """The labels of these cells alone."""
    code = np.full_like(level.code, -1)
    code[cells] = level.code[cells]
    return replace(level, code=code)
