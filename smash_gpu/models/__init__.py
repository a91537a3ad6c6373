"""The four classifiers of SMaSH behind one small protocol, which your own model can implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smash_gpu.data.splits import Split
from smash_gpu.models import boosted, forest, network
from smash_gpu.models.boosted import Boosted
from smash_gpu.models.forest import Forest
from smash_gpu.models.info import SET_BY_THE_CALLER, Facts, ModelInfo
from smash_gpu.models.network import Network
from smash_gpu.models.search import Choice, Range
from smash_gpu.runtime.words import not_an_option, not_one_of

__all__ = ["MODELS", "Boosted", "Choice", "Facts", "Forest", "Model", "ModelInfo", "Network", "Range"]

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
    """What a model must implement. ``X`` is expression ``e`` of the candidate genes, cells × genes, dense float32: a
    CuPy array if the model has an attribute ``device`` equal to "cuda", else NumPy. ``group`` holds codes
    0 … n_groups − 1, all of them present, and ``split`` the row numbers of training and held-out cells; both are NumPy.
    Rows are in the order of the data if they fit into one block (256 MiB of expression), else in random order.

    A model may have a method ``global_importance(X, group, split)`` that returns one number per gene, 0 or more: how
    much it uses the gene for all classes together. Panels weigh genes by it. Without it, it is the mean of
    the absolute ``importance`` over the classes.

    A model may state its `Facts` as an attribute ``facts``. With ``Facts(reads_parts=True)`` it must use only
    ``X[slice]``, ``X[row numbers]``, ``X.shape`` and ``len(X)``, for some rows at a time. ``X`` may then be a file
    if memory is too small, or a NumPy array if device memory is too small.

    Examples
    --------
    How far the mean of a class lies from the mean of all, as a model:

    >>> import numpy as np, smash_gpu as smg
    >>> class Means:
    ...     def fit(self, X, group, split):
    ...         train, of = X[split.train], group[split.train]
    ...         self.mean = np.stack([train[of == code].mean(axis=0) for code in range(of.max() + 1)])
    ...         return self
    ...
    ...     def importance(self, X, group, split):
    ...         return self.mean - self.mean.mean(axis=0)
    ...
    ...     def predict(self, X):
    ...         return ((X[:, None, :] - self.mean) ** 2).sum(axis=2).argmin(axis=1)
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", model=Means(), n_top=3)
    >>> sorted(smg.get.markers_dict(adata)["A"])
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']
    """

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Model:
        """Learn from ``split.train``; ``split.test`` may be used for early stopping."""
        ...

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """How informative each gene is for each class; classes × genes, larger is better."""
        ...

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class code of each cell."""
        ...


def build(model: str | Model, *, random_state: int, device: str = "cpu", **options: Any) -> Model:
    """A new model by name (see `MODELS`), or the user's own object unchanged.

    Raises
    ------
    ValueError
        For an unknown name, or for options together with an object.
    TypeError
        For an object that lacks one of the three methods, or whose ``facts`` is not a `Facts`.
    """
    check(model, options)
    if not isinstance(model, str):
        return model
    return MODELS[model].create(random_state=random_state, device=device, **options)


def importances(model: Model, X: Any, group: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """What a fitted model says of each gene for each class, and for all classes together; classes × genes, and genes.

    Both are float64. The second is its ``global_importance``, or else the mean of the absolute ``importance`` over the
    classes, where missing values count 0.

    Raises
    ------
    ValueError
        If either has the wrong shape, or the second holds negative, infinite or missing values.
    """
    by_group = np.asarray(model.importance(X, group, split), dtype=np.float64)
    expected = (int(group.max()) + 1, X.shape[1])
    if by_group.shape != expected:
        raise ValueError(f"the importance of the model has shape {by_group.shape}, but classes × genes is {expected}.")
    of_model = getattr(model, "global_importance", None)
    if of_model is None:
        overall = np.nan_to_num(np.abs(by_group), nan=0, posinf=np.inf).mean(axis=0)
    else:
        overall = np.asarray(of_model(X, group, split), dtype=np.float64)
    if overall.shape != expected[1:] or not (np.isfinite(overall) & (overall >= 0)).all():
        raise ValueError(
            f"the {'importance' if of_model is None else 'global_importance'} of the model must be finite numbers, "
            f"for all classes together {expected[1]}, one per gene, 0 or more; it has shape {overall.shape}"
            + " and negative, infinite or missing values."
            * (overall.shape == expected[1:])
        )
    return by_group, overall


def check_values(model: str | Model, options: Mapping[str, Any], device: str = "cpu") -> None:
    """Raise the errors of `check_options`, and of impossible values, before anything is computed."""
    check_options(model, options, device)
    if options and isinstance(model, str):
        build(model, random_state=0, device=device, **options)


def check_options(model: str | Model, options: Mapping[str, Any], device: str = "cpu") -> None:
    """Raise a TypeError for an option that the model does not have, before anything is computed.

    The message names near matches.
    """
    if isinstance(model, str):
        known = MODELS[model].options_on(device, options)
        for name in options:
            if name not in known:
                way_out = f" Pass {name}= to the function itself." if name in SET_BY_THE_CALLER else ""
                raise TypeError(not_an_option(f"model_options: the model {model!r}", name, sorted(known)) + way_out)


def facts_of(model: str | Model, options: Mapping[str, Any] | None = None) -> Facts:
    """The facts of a model with these options; default facts for an unknown name or an object without facts."""
    if isinstance(model, str):
        return MODELS[model].facts_with(options or {}) if model in MODELS else Facts()
    return getattr(model, "facts", Facts())


def cells_to_learn_from(model: str | Model, max_cells: int | None) -> float:
    """The maximum number of cells for a model: ``max_cells`` if given, else the number in its facts."""
    return facts_of(model).max_cells if max_cells is None else max_cells


def check(model: str | Model, options: Mapping[str, Any]) -> None:
    """Raise the errors of `build` before anything is computed."""
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(f"{not_one_of('model', model, MODELS)} Choose one, or pass a model object.")
        return
    if options:
        raise ValueError(f"model_options {sorted(options)} need a model given by name; set them on your own object.")
    missing = [method for method in ("fit", "importance", "predict") if not callable(getattr(model, method, None))]
    if missing:
        raise TypeError(
            f"the model of type {type(model).__name__} lacks {', '.join(missing)} (see smash_gpu.models.Model); "
            "wrap a scikit-learn estimator in smash_gpu.models.Forest(estimator) and a torch module in "
            "smash_gpu.models.Network(module=...)."
        )
    if not isinstance(facts_of(model), Facts):
        raise TypeError(
            f"facts of the model of type {type(model).__name__} is not a smash_gpu.models.Facts; write for example "
            "facts = smash_gpu.models.Facts(reads_parts=True)."
        )
