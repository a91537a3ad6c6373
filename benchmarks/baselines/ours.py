"""The four models through all steps with the defaults of `tl.smash`, and the panel objective."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.baselines.cells import in_turn
from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import steps
from smash_gpu.selection.options import ANY_EFFECT, Filters, Importance, Ranking, Recipe, paper

MODELS = ("rf", "brf", "xgboost", "dnn")


def modelled(data: Dataset, n_genes: int, seed: int, *, model: str, as_paper: bool) -> np.ndarray:
    """Filters, inverse PCA, one model, and the panel in which the groups choose in turn."""
    setting = paper(model) if as_paper else {"filters": {}, "model_options": {}}
    how = Importance(model, setting["model_options"], random_state=seed)
    rules = Ranking(**{name: setting[name] for name in ANY_EFFECT if name in setting})
    found = steps.select(data, Recipe(Filters.of(setting["filters"]), importance=how, ranking=rules))
    return in_turn(found.eligible, data, n_genes, found.spare)


rf, brf, xgboost, dnn = (partial(modelled, model=model, as_paper=False) for model in MODELS)
rf_paper, brf_paper, xgboost_paper, dnn_paper = (partial(modelled, model=model, as_paper=True) for model in MODELS)


def pairs(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """The panel objective: greedy on the separation of all pairs of groups, for this budget; defaults of `tl.panel`."""
    from smash_gpu import panel

    return panel.choose(n_genes)(data)


def pairs_all(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """The same with no gene family excluded."""
    from smash_gpu import panel

    return panel.choose(n_genes, exclude_families=())(data)
