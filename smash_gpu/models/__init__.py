"""The four classifiers of SMaSH behind one small protocol; bring your own by following it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smash_gpu.data.splits import Split

__all__ = ["MODELS", "Boosted", "Forest", "Model", "Network"]
CLASSES = {"Forest": "forest", "Boosted": "boosted", "Network": "network"}
DEFAULT = "rf"
MAX_CELLS = 100_000
OF_A_SAMPLE = ("rf", "brf")
MODELS = {
    "rf": ("smash_gpu.models.forest", "random_forest"),
    "brf": ("smash_gpu.models.forest", "balanced_random_forest"),
    "xgboost": ("smash_gpu.models.boosted", "Boosted"),
    "dnn": ("smash_gpu.models.network", "Network"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{CLASSES[name]}"), name)


@runtime_checkable
class Model(Protocol):
    """What a model must do. ``X`` is expression ``e`` of the candidate genes, cells × genes, dense float32: a CuPy
    array if the model has an attribute ``device`` that is "cuda", else NumPy. ``group`` holds codes 0 … n_groups − 1,
    every code present, and ``split`` the numbers of the cells to learn from, both NumPy. Rows are in the order of the
    data if they fit into one block of `shuffle.block_cuts`, else in random order.

    A model with a true attribute ``in_parts`` uses ``X[slice]``, ``X[row numbers]``, ``X.shape`` and ``len(X)`` only,
    some rows at a time: where there is no room in memory, ``X`` is a file then (`spill.Scratch`), and where there is
    none on the device a NumPy array.
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
        For an object that lacks one of the three methods.
    """
    check(model, options)
    if not isinstance(model, str):
        return model
    module, name = MODELS[model]
    factory: Callable[..., Model] = getattr(import_module(module), name)
    return factory(random_state=random_state, device=device, **options)


def cells_to_learn_from(model: str | Model, max_cells: int | None) -> float:
    """How many cells a model is given at most: ``max_cells``, else `MAX_CELLS` for a forest and all for the others."""
    if max_cells is not None:
        return max_cells
    return MAX_CELLS if model in OF_A_SAMPLE else math.inf


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
