"""The four models with the defaults of `tl.smash`: their panels, and lists by groups in turn; and `tl.panel`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.baselines.cells import in_turn
from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import steps
from smash_gpu.selection.marker_panel import choose_panel
from smash_gpu.selection.options import ANY_EFFECT, Filters, Importance, InversePCA, Ranking, Recipe, paper

MODELS = ("rf", "brf", "xgboost", "dnn")


def modelled(data: Dataset, n_genes: int, seed: int, *, model: str, inverse_pca: bool = False) -> np.ndarray:
    """All steps with the defaults, and the panel of the model."""
    how = Importance(model, random_state=seed)
    return choose_panel(Recipe(inverse_pca=InversePCA() if inverse_pca else None, importance=how), n_genes)(data)


def modelled_in_turn(data: Dataset, n_genes: int, seed: int, *, model: str, **given: Any) -> np.ndarray:
    """All steps with the options ``given`` of `tl.smash`, and the list in which the groups choose in turn."""
    how = Importance(model, given.get("model_options", {}), random_state=seed)
    rules = Ranking(**{name: given[name] for name in ANY_EFFECT if name in given})
    narrow = InversePCA() if given.get("inverse_pca") else None
    found = steps.select(data, Recipe(Filters.of(given.get("filters", {})), narrow, how, rules))
    return in_turn(found.eligible, data, n_genes, found.spare)


rf, brf, xgboost, dnn = (partial(modelled, model=model) for model in MODELS)
rf_in_turn, brf_in_turn, xgboost_in_turn, dnn_in_turn = (partial(modelled_in_turn, model=model) for model in MODELS)
rf_paper, brf_paper, xgboost_paper, dnn_paper = (partial(modelled_in_turn, **paper(model)) for model in MODELS)
rf_inverse_pca, brf_inverse_pca, xgboost_inverse_pca, dnn_inverse_pca = (
    partial(modelled, model=model, inverse_pca=True) for model in MODELS
)


def pairs(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """The panel objective: greedy on the separation of all pairs of groups, for this budget; defaults of `tl.panel`."""
    from smash_gpu import panel

    return panel.choose(n_genes)(data)


def pairs_all(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """The same with no gene family excluded."""
    from smash_gpu import panel

    return panel.choose(n_genes, exclude_families=())(data)
