"""Random forest and balanced random forest, ranked by Gini importance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np

from smash_gpu.compute.device import same_allocator
from smash_gpu.compute.xp import namespace, take, to_host
from smash_gpu.data.splits import Split
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.models.class_weights import class_weights
from smash_gpu.models.info import EXPRESSION, Facts, ModelInfo, parameters_of
from smash_gpu.models.search import Choice
from smash_gpu.runtime.progress import track
from smash_gpu.runtime.whole import require_at_least

TREES_PER_STEP = 25
SEARCH = {
    "max_depth": Choice(None, 5, 10, 20),
    "min_samples_leaf": Choice(1, 2, 5, 10),
    "max_features": Choice("sqrt", "log2", 0.05, 0.1, 0.2),
}
SEARCH_BALANCED = SEARCH | {"max_depth": Choice(50, 5, 10, 20), "min_drawn": Choice(50, 20, 100, 200)}
AUTO, DEPTH_ON_GPU = "auto", 24
MAX_CELLS = 100_000  # a forest needs all cells in memory, and its time per cell does not fall with more cells


class Forest:
    """Any scikit-learn classifier with ``feature_importances_``, trained in steps if it can be.

    Parameters
    ----------
    estimator
        An unfitted classifier.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> adata = smg.datasets.planted()
    >>> model = smg.models.Forest(ExtraTreesClassifier(20, random_state=0))
    >>> smg.tl.smash(adata, "cell_type", model=model, n_top=2)
    >>> bool((adata.var["marker_of"][smg.get.markers(adata, "A")["name"]] == "A").all())
    True
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Fit on ``split.train``; cells × genes."""
        grow(self.estimator, take(X, split.train), group[split.train])
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Gini importance × class mean of ``z`` over the training cells; groups × genes."""
        importance = self.estimator.feature_importances_
        return weigh_by_expression(importance, X, group, int(group.max()) + 1, cells=split.train)

    def global_importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Gini importance of each gene."""
        return to_host(self.estimator.feature_importances_)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The group code of each cell."""
        return to_host(self.estimator.predict(X))


def grow(estimator: Any, X: np.ndarray, group: np.ndarray) -> None:
    """Fit; a forest with ``warm_start`` is grown in steps to show progress, with the same trees as result."""
    from joblib import effective_n_jobs

    if not hasattr(estimator, "warm_start") or not hasattr(estimator, "n_estimators"):
        estimator.fit(X, group)
        return
    n_trees, step = estimator.n_estimators, max(TREES_PER_STEP, effective_n_jobs(-1))
    try:
        for grown in track(range(0, n_trees, step), "growing trees", unit=f" × {step} trees"):
            estimator.set_params(warm_start=grown > 0, n_estimators=min(grown + step, n_trees)).fit(X, group)
    finally:
        estimator.set_params(warm_start=False, n_estimators=n_trees)


class ClassWeightedForest(Forest):
    """A forest that draws cells with equal probability and weighs each class by n / (K · n_c) in splits, as in 2021.

    The meaning of ``class_weight`` in scikit-learn changed in 1.9: cells are now drawn in proportion to it, and splits
    are unweighted. With balanced draws (the balanced forest) the trees then contain only the rarest classes: accuracy
    on paul15 is 4 % instead of 63 %. So the weights are passed to the trees instead.
    """

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Fit on ``split.train``; cells × genes."""
        from sklearn.tree import DecisionTreeClassifier

        weights = class_weights(group[split.train])
        self.estimator.estimator = DecisionTreeClassifier(class_weight=dict(enumerate(weights.tolist())))
        return super().fit(X, group, split)


class DeviceForest(Forest):
    """A cuML forest on CuPy arrays, with the classes balanced when cells are drawn.

    With ``bootstrap=True`` cuML draws cells in proportion to ``sample_weight`` and splits without weights. Drawing each
    class by its class weight gives the random forest with class weights. Drawing each class by the number of its cells
    that a tree of the balanced forest sees, and as many cells as these are together, gives the balanced forest.

    Parameters
    ----------
    estimator
        ``cuml.ensemble.RandomForestClassifier``.
    min_drawn
        None: all cells, by class weights. Else the balanced forest, see `balanced_random_forest`.
    """

    device = "cuda"

    def __init__(self, estimator: Any, *, min_drawn: int | None = None) -> None:
        super().__init__(estimator)
        self.min_drawn = min_drawn

    def fit(self, X: Any, group: np.ndarray, split: Split) -> Self:
        """Fit on ``split.train``; cells × genes."""
        y = group[split.train]
        weight, share = draw_weights(y, min_drawn=self.min_drawn)
        self.estimator.max_samples = share
        xp = namespace(X)
        self.estimator.fit(take(X, split.train), xp.asarray(y, dtype=np.int32), sample_weight=xp.asarray(weight[y]))
        return self


def balanced_sizes(group: np.ndarray, *, min_drawn: int) -> np.ndarray:
    """Cells of each group that a tree of the balanced forest sees: as many as the rarest has, or ``min_drawn`` if that
    is more; all of a smaller group.
    """
    sizes = np.bincount(group)
    return np.minimum(sizes, max(min_drawn, sizes[sizes > 0].min()))


def balanced_draw(y: np.ndarray, *, min_drawn: int) -> dict[int, int]:
    """`balanced_sizes` as a ``sampling_strategy`` of imbalanced-learn."""
    sizes = balanced_sizes(y.astype(np.int64), min_drawn=min_drawn)
    return {int(c): int(sizes[c]) for c in np.flatnonzero(sizes)}


def draw_weights(group: np.ndarray, *, min_drawn: int | None) -> tuple[np.ndarray, float]:
    """The drawing weight of a cell of each group (mean 1 over cells), and the share of cells drawn."""
    if min_drawn is None:
        return class_weights(group), 1.0
    drawn = balanced_sizes(group, min_drawn=min_drawn)
    share = float(drawn.sum() / len(group))
    return drawn / np.maximum(np.bincount(group), 1) / share, share


def _cuml_forest(n_estimators: int, **options: Any) -> Any:
    if "max_samples" in options:
        raise ValueError("max_samples follows from the classes on a GPU: leave it out, or use device='cpu'.")
    try:
        with same_allocator():
            from cuml.ensemble import RandomForestClassifier
    except ImportError as error:
        raise ImportError(
            f"forests need cuML on the GPU ({error}); pip install 'smash-gpu[cuda13]', or use device='cpu' or "
            "model='xgboost'."
        ) from error
    return RandomForestClassifier(n_estimators=n_estimators, **options)


def random_forest(
    *,
    random_state: int = 0,
    device: str = "cpu",
    n_estimators: int = 100,
    max_depth: int | str | None = AUTO,
    **options: Any,
) -> Forest:
    """The paper's random forest: 100 trees, class weights; otherwise the defaults of the library.

    scikit-learn on the CPU, cuML on a GPU; ``options`` are passed to them.

    Parameters
    ----------
    max_depth
        Largest depth of a tree; None: no limit, as in the paper. "auto": none on a CPU, 24 on a GPU, where trees
        without a limit take about four times as long.
    """
    if max_depth == AUTO:
        max_depth = DEPTH_ON_GPU if device == "cuda" else None
    _check_size(n_estimators, max_depth, ", None or 'auto'")
    how = {"random_state": random_state, "max_depth": max_depth} | options
    if device == "cuda":
        return DeviceForest(_cuml_forest(n_estimators, **how))
    from sklearn.ensemble import RandomForestClassifier

    return ClassWeightedForest(RandomForestClassifier(n_estimators, n_jobs=-1, **how))


def balanced_random_forest(
    *,
    random_state: int = 0,
    device: str = "cpu",
    n_estimators: int = 200,
    max_depth: int | None = 50,
    min_drawn: int = 50,
    class_weight: str | None = None,
    **options: Any,
) -> Forest:
    """The balanced random forest: 200 trees, depth at most 50, each on about as many cells of every class.

    imbalanced-learn on the CPU, cuML on a GPU; ``options`` are passed to them. Arguments whose defaults
    imbalanced-learn has changed since 2021 are set explicitly: sampling without replacement, then bootstrap.

    Parameters
    ----------
    min_drawn
        A tree sees as many cells of every class as the rarest has, but at least so many, or all of a smaller class. The
        paper's forest always draws down to the rarest (0): a class of ten cells then leaves ten cells of every class.
    class_weight
        "balanced" also weighs the classes in splits, as in the paper: n / (K · n_c) on cells that are balanced already,
        so that the rarest classes outweigh all others. Not on a GPU.

    Raises
    ------
    ValueError
        If ``class_weight`` is none of these, or "balanced" on a GPU.
    """
    if class_weight not in (None, "balanced"):
        raise ValueError(f"class_weight={class_weight!r} must be None or 'balanced'.")
    _check_size(n_estimators, max_depth, " or None")
    if device == "cuda":
        if class_weight is not None:
            raise ValueError(
                "class_weight='balanced' of the balanced forest (as in the paper) needs device='cpu': cuML has no "
                "weights in splits."
            )
        forest = _cuml_forest(n_estimators, max_depth=max_depth, random_state=random_state, **options)
        return DeviceForest(forest, min_drawn=min_drawn)
    from imblearn.ensemble import BalancedRandomForestClassifier

    draw = {"sampling_strategy": partial(balanced_draw, min_drawn=min_drawn), "replacement": False, "bootstrap": True}
    settings = draw | {"n_jobs": -1, "max_depth": max_depth, "random_state": random_state} | options
    kind = Forest if class_weight is None else ClassWeightedForest
    return kind(BalancedRandomForestClassifier(n_estimators, **settings))


def _check_size(n_estimators: int, max_depth: Any, other: str) -> None:
    """Refuse impossible numbers of trees, and depths that are neither whole numbers nor ``other``."""
    require_at_least(1, n_estimators=n_estimators)
    if max_depth is not None and not (isinstance(max_depth, Integral) and int(max_depth) >= 1):
        raise ValueError(f"max_depth={max_depth!r} must be a whole number of at least 1{other}.")


def option_names(device: str, _: Mapping[str, Any], *, is_balanced: bool) -> set[str]:
    """The names of all options of the library's forest."""
    if device == "cuda":
        return set(_cuml_forest(1).get_params())
    if is_balanced:
        from imblearn.ensemble import BalancedRandomForestClassifier as Estimator
    else:
        from sklearn.ensemble import RandomForestClassifier as Estimator
    return parameters_of(Estimator)


PAPER = {"max_depth": None}
PAPER_BALANCED = {"min_drawn": 0, "class_weight": "balanced"}
RANDOM_FOREST, BALANCED_RANDOM_FOREST = (
    ModelInfo(
        create,
        Facts(max_cells=MAX_CELLS, score_in_words=f"Gini importance in the {name} {EXPRESSION}"),
        paper,
        partial(option_names, is_balanced=create is balanced_random_forest),
        search,
    )
    for create, name, paper, search in (
        (random_forest, "random forest", PAPER, SEARCH),
        (balanced_random_forest, "balanced random forest", PAPER_BALANCED, SEARCH_BALANCED),
    )
)
