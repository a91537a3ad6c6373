"""The four models through all steps with the defaults of `tl.smash`, and the panel objective."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.baselines.cells import in_turn
from smash_gpu import selection
from smash_gpu.dataset import Dataset
from smash_gpu.recipe import Importance, Recipe


def modelled(data: Dataset, n_genes: int, seed: int, *, model: str) -> np.ndarray:
    """Filters, inverse PCA, one model, and the panel in which the groups choose in turn."""
    found = selection.select(data, Recipe(importance=Importance(model, random_state=seed)))
    return in_turn(found.eligible, data, n_genes)


rf = partial(modelled, model="rf")
brf = partial(modelled, model="brf")
xgboost = partial(modelled, model="xgboost")
dnn = partial(modelled, model="dnn")


def pairs(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """The panel objective: greedy on the separation of all pairs of groups, for this budget."""
    from smash_gpu import panel

    return panel.choose(n_genes)(data)
