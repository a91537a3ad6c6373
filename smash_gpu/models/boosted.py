"""Gradient-boosted trees by XGBoost, ranked by gain or TreeSHAP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from smash_gpu.compute.device import device_room
from smash_gpu.compute.xp import place, take, to_host
from smash_gpu.data.splits import Split, draw
from smash_gpu.models.attribution import treeshap
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.models.class_weights import class_weights
from smash_gpu.models.info import BYTES_IN_MEMORY, EXPRESSION, SHAPLEY, Facts, ModelInfo, parameters_of
from smash_gpu.models.search import Range
from smash_gpu.models.xgboost_options import OBJECTIVE, TOL, check_given, check_stopping, option_names
from smash_gpu.runtime import atomic, memory, spill
from smash_gpu.runtime.whole import require_at_least
from smash_gpu.runtime.words import not_one_of

IMPORTANCES = {
    "gain": f"mean gain of the gene's splits in the boosted trees {EXPRESSION}",
    "total_gain": f"summed gain of the gene's splits in the boosted trees {EXPRESSION}",
    "shap": f"{SHAPLEY}, by TreeSHAP",
}
DEFAULT_IMPORTANCE = "total_gain"
BYTES_PER_BIN_NUMBER = 2.4  # measured with 32 bins: XGBoost keeps bin numbers by cell and by gene
BYTES_PER_CLASS = 12  # gradients and margins, per cell
SHARE_FOR_BINS = 0.5  # of the memory that may be used
BINS = "smash-gpu-bins-"  # folders; leftovers of a killed program are removed by the next run that needs one


def facts(
    *, importance: str = DEFAULT_IMPORTANCE, tree_method: str = "hist", booster: str = "gbtree", **_: Any
) -> Facts:
    """The facts of boosted trees with these options; DART and tree methods other than "hist" need all cells at once."""
    in_parts = tree_method == "hist" and booster != "dart"
    return Facts(
        reads_parts=in_parts,
        bytes_per_value=4 + BYTES_PER_BIN_NUMBER if in_parts else BYTES_IN_MEMORY,
        bytes_per_class=BYTES_PER_CLASS,
        score_in_words=IMPORTANCES.get(importance, importance),
    )


class Boosted:
    """The paper's XGBoost: depth 9, learning rate 0.25, soft-max; at most 200 rounds, fewer if more do not help.

    Expression is converted to bin numbers block by block. If these do not fit into half of the
    available host memory, XGBoost keeps them in a temporary file, and if they do not fit into half of
    the free memory of the device, in host memory, and reads them for every level of every tree: this gives the same
    trees, more slowly. In addition it needs 12 bytes per cell and class.

    Parameters
    ----------
    random_state
        Seed.
    device
        "cpu" or "cuda".
    importance
        "total_gain": gain summed over the splits of a gene × class mean of ``z``; "gain": the same with the mean gain
        per split (as in the paper), which does not depend on the number of splits; "shap": mean absolute TreeSHAP
        value per class, over at most ``max_explained`` training cells, with equal numbers per class.
    n_estimators
        Most rounds.
    early_stopping_rounds
        Stop after so many rounds in a row whose loss on the held-out cells is not more than ``tol`` below the last one
        that was, and keep the trees up to that one. None: all rounds, as in the paper, and no ``tol``.
    tol
        The smallest fall that counts, of the mean loss of held-out cells in nats, or of another ``eval_metric``. Two
        rounds and 0.01 end the training after about 20 rounds, and choose as good panels as 200
        (``benchmarks/boosting_rounds.py``).
    max_depth
        Largest depth of a tree.
    learning_rate
        Factor of the values of every tree, from 0 to 1.
    max_bin
        Histogram bins per gene. XGBoost's default of 256 takes many times longer on thousands of genes and does not
        choose better panels; ``benchmarks/xgboost_settings.py`` measures both.
    class_weight
        "balanced" weighs cells by n / (K · n_c); None: no weights, as in the paper.
    max_explained
        Most training cells that ``importance="shap"`` explains.
    options
        Other parameters of ``xgboost.train``, but no other ``objective``. The booster is "gbtree"; "dart" without
        ``rate_drop`` drops no trees, so it gives the same result several times slower.

    Raises
    ------
    ValueError
        If ``importance``, ``class_weight`` or the booster is none of these words, ``n_estimators`` or
        ``early_stopping_rounds`` is below 1, ``max_bin`` below 2, ``tol`` is negative or given without early stopping,
        or an ``objective`` is given.
    RuntimeError
        If ``device="cuda"`` and XGBoost was built for the CPU only.

    References
    ----------
    Chen & Guestrin, KDD 2016. TreeSHAP: Lundberg et al., Nature Machine Intelligence 2020.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", model=smg.models.Boosted(n_estimators=10, max_depth=3), n_top=2)
    >>> bool((adata.var["marker_of"][smg.get.markers(adata, "A")["name"]] == "A").all())
    True
    """

    def __init__(
        self,
        *,
        random_state: int = 0,
        device: str = "cpu",
        importance: str = DEFAULT_IMPORTANCE,
        n_estimators: int = 200,
        early_stopping_rounds: int | None = 2,
        tol: float = TOL,
        max_depth: int = 9,
        learning_rate: float = 0.25,
        max_bin: int = 32,
        class_weight: str | None = None,
        max_explained: int = 500,
        **options: Any,
    ) -> None:
        if importance not in IMPORTANCES:
            raise ValueError(not_one_of("importance", importance, IMPORTANCES))
        if class_weight not in (None, "balanced"):
            raise ValueError(f"class_weight={class_weight!r} must be None or 'balanced'.")
        check_given(options)
        require_at_least(1, n_estimators=n_estimators)
        require_at_least(2, max_bin=max_bin)
        check_stopping(early_stopping_rounds, tol)
        if device == "cuda":
            _need_cuda()
        self.facts = facts(importance=importance, **options)
        self.device = device
        self.kind = importance
        self.n_estimators = n_estimators
        self.early_stopping_rounds = early_stopping_rounds
        self.tol = tol
        self.class_weight = class_weight
        self.max_explained = max_explained
        self.random_state = random_state
        self.params: dict[str, Any] = {
            "objective": OBJECTIVE,
            "max_depth": max_depth,
            "learning_rate": learning_rate,
            "max_bin": max_bin,
            "device": device,
            "seed": random_state,
        } | options

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Train on ``split.train``, stop by the loss on ``split.test``; ``X`` is cells × genes."""
        self.n_groups = int(group.max()) + 1
        with self._folder(len(X), X.shape[1]) as folder:
            self.booster = self._boosted(X, group, split, folder)
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Importance as chosen by the parameter ``importance``; classes × genes."""
        if self.kind == "shap":
            cells = draw(group, split.train, self.max_explained, self.random_state, balanced=True)
            return treeshap.mean_abs(self.booster, take(X, cells), self.n_groups)
        return weigh_by_expression(self.gain(X.shape[1], self.kind), X, group, self.n_groups, cells=split.train)

    def global_importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Gain summed over the splits of each gene, as a share of the total."""
        return self.gain(X.shape[1], DEFAULT_IMPORTANCE)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class code of each cell."""
        return to_host(self.booster.inplace_predict(place(X, self.device)).argmax(axis=1))

    def weight(self, y: np.ndarray) -> np.ndarray | None:
        """The weight of each training cell with these classes; None: all equal."""
        return None if self.class_weight is None else class_weights(y)[y]

    def _boosted(self, X: Any, group: np.ndarray, split: Split, folder: str | None) -> Any:
        from xgboost import train

        from smash_gpu.models.xgboost_stopping import HELD_OUT, Progress, stopping

        data = self._binned(X, group, split.train, folder and f"{folder}/train")
        evals: list[tuple[Any, str]] = []
        callbacks: list[Any] = [Progress(self.n_estimators)]
        if self.early_stopping_rounds and len(split.test):
            held_out = self._binned(X, group, split.test, folder and f"{folder}/test", like=data)
            evals, callbacks = [(held_out, HELD_OUT)], [stopping(self.early_stopping_rounds, self.tol), *callbacks]
        params = self.params | {"num_class": self.n_groups}
        return train(params, data, self.n_estimators, evals=evals, callbacks=callbacks, verbose_eval=False)

    def _binned(self, X: Any, group: np.ndarray, cells: np.ndarray, files: str | None, like: Any = None) -> Any:
        """The numbered cells for XGBoost; in the bins of other cells, if given."""
        from xgboost import DMatrix

        from smash_gpu.models.xgboost_bins import binned

        y = group[cells]
        weight = self.weight(y)
        if not self.facts.reads_parts:
            return DMatrix(take(X, cells), y, weight=weight)
        how: dict[str, Any] = {"device": self.device, "max_bin": self.params["max_bin"], "files": files, "like": like}
        return binned(X, cells, y, weight, **how)

    @contextmanager
    def _folder(self, n_cells: int, n_genes: int) -> Iterator[str | None]:
        """A temporary folder for bin numbers that do not fit into memory; None if they fit.

        From a device they go to host memory; XGBoost asks for the name of a file there too.
        """
        n_bytes = int(BYTES_PER_BIN_NUMBER * n_cells * n_genes)
        room = device_room() if self.device == "cuda" else memory.room()
        if not self.facts.reads_parts or n_bytes <= SHARE_FOR_BINS * room:
            yield None
            return
        if self.device == "cuda":
            if n_bytes > memory.room():
                raise MemoryError(
                    f"not enough memory on device and host for the bins of {n_cells:,} cells × {n_genes:,} "
                    f"genes ({n_bytes / 1e9:,.2f} GB). Pass a smaller max_cells=, or fewer candidates."
                )
            with TemporaryDirectory(prefix=BINS) as folder:
                yield folder
            return
        atomic.remove_leftovers(spill.folder(), f"{BINS}*")
        where = spill.need_disk(n_bytes, f"XGBoost's copy of {n_cells:,} cells × {n_genes:,} genes")
        with TemporaryDirectory(prefix=BINS, suffix=atomic.PARTIAL, dir=where) as folder:
            held = atomic.lock(Path(folder))
            try:
                yield folder
            finally:
                os.close(held)

    def gain(self, n_genes: int, kind: str) -> np.ndarray:
        """The gain of each gene, "gain" or "total_gain", as a share of the total."""
        gain = np.zeros(n_genes)
        for feature, value in self.booster.get_score(importance_type=kind).items():
            gain[int(feature[1:])] = value
        return gain / max(gain.sum(), np.finfo(float).tiny)


def _need_cuda() -> None:
    from xgboost import build_info

    if not build_info()["USE_CUDA"]:
        raise RuntimeError(
            "this build of XGBoost supports only the CPU (is it xgboost-cpu?); install xgboost "
            "(pip install 'smash-gpu[cuda13]' in a new environment), or use device='cpu'."
        )


PAPER = {"importance": "gain", "early_stopping_rounds": None}
SEARCH = {
    "max_depth": Range(2, 12, 9),
    "learning_rate": Range(0.05, 0.5, 0.25, log=True),
    "min_child_weight": Range(0.5, 10.0, 1.0, log=True),
    "subsample": Range(0.5, 1.0, 1.0),
    "colsample_bytree": Range(0.2, 1.0, 1.0),
    "reg_lambda": Range(0.1, 10.0, 1.0, log=True),
}
BOOSTED = ModelInfo(Boosted, facts, PAPER, partial(option_names, own=parameters_of(Boosted)), SEARCH)
