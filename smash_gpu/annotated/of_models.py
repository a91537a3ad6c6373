"""The slots of a consensus: the names of its models in ``uns[key]["models"]``, and their scores in ``varm``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from anndata import AnnData

from smash_gpu.annotated.features import of_all_features

NAMES = "models"


def names(adata: AnnData, key: str) -> list[str]:
    """Names of the models; none if the scores are not of a consensus."""
    return [str(name) for name in adata.uns.get(key, {}).get(NAMES, ())]


def scores(adata: AnnData, key: str) -> dict[str, np.ndarray]:
    """Scores of each model; groups × features."""
    return {name: np.asarray(adata.varm[_slot(key, name)]).T for name in names(adata, key)}


def write(adata: AnnData, by_model: Mapping[str, np.ndarray], key: str) -> None:
    """Fill the slots with the scores of each model, groups × genes."""
    for name, found in by_model.items():
        adata.varm[_slot(key, name)] = of_all_features(adata, found).T
    if by_model:
        adata.uns[key] = {**adata.uns.get(key, {}), NAMES: np.array(list(by_model), dtype=object)}


def forget(adata: AnnData, key: str) -> None:
    """Drop them."""
    for name in names(adata, key):
        if _slot(key, name) in adata.varm:
            del adata.varm[_slot(key, name)]
    adata.uns[key] = {name: value for name, value in adata.uns.get(key, {}).items() if name != NAMES}


def _slot(key: str, name: str) -> str:
    return f"{key}_score_{name}"
