"""Methods that choose genes, all of one kind: training cells in, an ordered list of gene numbers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from smash_gpu.data.dataset import Dataset


@dataclass(frozen=True)
class Method:
    """How genes are chosen.

    Attributes
    ----------
    place
        Module and function ``(data, n_genes, seed) -> gene numbers``, best first, none twice, at most ``n_genes``;
        fewer where the method has no more to say.
    modules
        What must be importable.
    nested
        Whether the first genes of a long list are the list of a smaller budget, so that one selection serves all.
    """

    place: tuple[str, str]
    modules: tuple[str, ...] = ()
    nested: bool = True

    @property
    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [name for name in self.modules if not _is_importable(name)]

    @property
    def choose(self) -> Callable[[Dataset, int, int], np.ndarray]:
        """The function itself."""
        module, name = self.place
        return getattr(import_module(f"benchmarks.baselines.{module}"), name)


METHODS = {
    "random": Method(("simple", "random_matched"), ("scanpy",)),
    "hvg_seurat": Method(("simple", "hvg_seurat"), ("scanpy",)),
    "hvg_seurat_v3": Method(("simple", "hvg_seurat_v3"), ("scanpy", "skmisc")),
    "t_test": Method(("simple", "t_test"), ("scanpy",)),
    "wilcoxon": Method(("simple", "wilcoxon"), ("scanpy",)),
    "logreg": Method(("simple", "logistic_regression"), ("scanpy",)),
    "cosg": Method(("peers", "cosg"), ("cosg",)),
    "pairs": Method(("ours", "pairs"), ("smash_gpu.panel",), nested=False),
    "pairs_all": Method(("ours", "pairs_all"), ("smash_gpu.panel",), nested=False),
    "rf": Method(("ours", "rf")),
    "brf": Method(("ours", "brf"), ("imblearn",)),
    "dnn": Method(("ours", "dnn"), ("torch",)),
    "rf_in_turn": Method(("ours", "rf_in_turn")),
    "brf_in_turn": Method(("ours", "brf_in_turn"), ("imblearn",)),
    "dnn_in_turn": Method(("ours", "dnn_in_turn"), ("torch",)),
    "xgboost_in_turn": Method(("ours", "xgboost_in_turn"), ("xgboost",)),
    "rf_paper": Method(("ours", "rf_paper")),
    "brf_paper": Method(("ours", "brf_paper"), ("imblearn",)),
    "dnn_paper": Method(("ours", "dnn_paper"), ("torch",)),
    "rf_inverse_pca": Method(("ours", "rf_inverse_pca")),
    "brf_inverse_pca": Method(("ours", "brf_inverse_pca"), ("imblearn",)),
    "xgboost_inverse_pca": Method(("ours", "xgboost_inverse_pca"), ("xgboost",)),
    "dnn_inverse_pca": Method(("ours", "dnn_inverse_pca"), ("torch",)),
    "scgenefit": Method(("peers", "scgenefit"), ("scGeneFit",), nested=False),
    "nsforest": Method(("peers", "nsforest"), ("nsforest",)),
    "xgboost": Method(("ours", "xgboost"), ("xgboost",)),
    "xgboost_paper": Method(("ours", "xgboost_paper"), ("xgboost",)),
    "spapros": Method(("peers", "spapros"), ("spapros",)),
}


def _is_importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
