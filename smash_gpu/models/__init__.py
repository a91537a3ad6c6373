"""The four classifiers of SMaSH behind one small protocol; bring your own by following it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smash_gpu.data.splits import Split
from smash_gpu.models import boosted, forest, network
from smash_gpu.models.boosted import Boosted
from smash_gpu.models.forest import Forest
from smash_gpu.models.info import Facts, ModelInfo
from smash_gpu.models.network import Network

__all__ = ["MODELS", "Boosted", "Facts", "Forest", "Model", "ModelInfo", "Network"]

DEFAULT = "rf"
MODELS = {
    "rf": forest.RANDOM_FOREST,
    "brf": forest.BALANCED_RANDOM_FOREST,
    "xgboost": boosted.BOOSTED,
    "dnn": network.NETWORK,
}


def __dir__() -> list[str]:
    return __all__


@runtime_checkable
class Model(Protocol):
    """What a model must do. ``X`` is expression ``e`` of the candidate genes, cells × genes, dense float32: a CuPy
    array if the model has an attribute ``device`` that is "cuda", else NumPy. ``group`` holds codes 0 … n_groups − 1,
    every code present, and ``split`` the numbers of the cells to learn from, both NumPy. Rows are in the order of the
    data if they fit into one block of `shuffle.block_cuts`, else in random order.

    A model may state its `Facts` as an attribute ``facts``. With ``Facts(reads_parts=True)`` it uses ``X[slice]``,
    ``X[row numbers]``, ``X.shape`` and ``len(X)`` only, some rows at a time: where there is no room in memory, ``X`` is
    a file then (`spill.Scratch`), and where there is none on the device a NumPy array.
    """

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Model:
        """Learn from ``split.train``; ``split.test`` may serve for early stopping."""
        ...

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """How much each gene tells about each group; groups × genes, larger is better."""
        ...

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The group code of each cell."""
        ...


def build(model: str | Model, *, random_state: int, device: str = "cpu", **options: Any) -> Model:
    """A new model by its name in `MODELS`, or the user's own object unchanged.

    Raises
    ------
    ValueError
        For an unknown name, or options given together with an object.
    TypeError
        For an object that lacks one of the three methods, or whose ``facts`` are no `Facts`.
    """
    check(model, options)
    if not isinstance(model, str):
        return model
    return MODELS[model].create(random_state=random_state, device=device, **options)


def facts_of(model: str | Model, options: Mapping[str, Any] | None = None) -> Facts:
    """The facts of a model with these options; the defaults for an object that states none, and an unknown name."""
    if isinstance(model, str):
        return MODELS[model].facts_with(options or {}) if model in MODELS else Facts()
    return getattr(model, "facts", Facts())


def cells_to_learn_from(model: str | Model, max_cells: int | None) -> float:
    """How many cells a model is given at most: ``max_cells``, else as many as its facts say."""
    return facts_of(model).max_cells if max_cells is None else max_cells


def check(model: str | Model, options: Mapping[str, Any]) -> None:
    """Raise what `build` raises, before anything is computed."""
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(f"model={model!r} is not one of {', '.join(MODELS)}, nor an object of your own.")
        return
    if options:
        raise ValueError(f"options {sorted(options)} go with a model's name; set them on your own object instead.")
    missing = [method for method in ("fit", "importance", "predict") if not callable(getattr(model, method, None))]
    if missing:
        raise TypeError(
            f"a model of type {type(model).__name__} lacks {', '.join(missing)}. See smash_gpu.models.Model; "
            "wrap a scikit-learn estimator in smash_gpu.models.Forest(estimator) and a torch module in "
            "smash_gpu.models.Network(module=...)."
        )
    if not isinstance(facts_of(model), Facts):
        raise TypeError(
            f"facts of a model of type {type(model).__name__} is not a smash_gpu.models.Facts; write for example "
            "facts = smash_gpu.models.Facts(reads_parts=True)."
        )
