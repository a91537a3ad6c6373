"""Gradient-boosted trees by XGBoost, ranked by gain or TreeSHAP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from xgboost import Booster, DataIter, DMatrix, ExtMemQuantileDMatrix, QuantileDMatrix, build_info

from smash_gpu.compute.xp import place, take, to_host
from smash_gpu.data.shuffle import by_block
from smash_gpu.data.splits import Split, draw
from smash_gpu.models.attribution import treeshap
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.runtime import atomic, memory, spill
from smash_gpu.runtime.progress import track

IMPORTANCES = ("gain", "total_gain", "shap")
BYTES_PER_BIN_NUMBER = 2.4  # measured with 32 bins: XGBoost holds them by cell and by gene
SHARE_FOR_BINS = 0.5  # of the room
BINS = "smash-gpu-bins-"  # folders; one whose program was killed is removed by the next that needs one


class Boosted:
    """The paper's XGBoost: 200 rounds, depth 9, learning rate 0.25, soft-max.

    Expression is turned into numbers of bins block by block (`shuffle.block_cuts`). Where those do not fit into half of
    the room on the host (`memory.room`), XGBoost keeps them in a temporary file and reads it for every level of every
    tree: the same trees from the same blocks, in more time. Beside them it holds 12 bytes a cell and class.

    Parameters
    ----------
    importance
        "total_gain": gain summed over a gene's splits × class mean of ``z``; "gain": the same with the average gain per
        split (the paper's), which a gene earns by one split as well as by hundreds; "shap": mean |TreeSHAP| per class,
        over at most ``max_explained`` training cells, the same number of each class.
    max_bin
        Histogram bins a gene. XGBoost's own 256 take many times longer on thousands of genes and choose no better
        panels; ``benchmarks/xgboost_settings.py`` measures both.
    booster
        "gbtree". "dart" without a ``rate_drop`` drops no tree: the same result, several times slower.
    class_weight
        "balanced" weighs cells by n / (K · n_c); None, as the paper.
    options
        Any other parameter of ``xgboost.train``.
    """

    def __init__(
        self,
        *,
        random_state: int = 0,
        device: str = "cpu",
        importance: str = "total_gain",
        n_estimators: int = 200,
        max_depth: int = 9,
        learning_rate: float = 0.25,
        max_bin: int = 32,
        class_weight: str | None = None,
        max_explained: int = 500,
        **options: Any,
    ) -> None:
        if importance not in IMPORTANCES:
            raise ValueError(f"importance={importance!r} is not one of {', '.join(IMPORTANCES)}.")
        if device == "cuda" and not build_info()["USE_CUDA"]:
            raise RuntimeError(
                "this build of XGBoost computes on the CPU only (xgboost-cpu?): install xgboost instead "
                "(pip install 'smash-gpu[cuda13]' in a new environment), or use device='cpu'."
            )
        self.device = device
        self.kind = importance
        self.n_estimators = n_estimators
        self.class_weight = class_weight
        self.max_explained = max_explained
        self.random_state = random_state
        self.params = {
            "objective": "multi:softprob",
            "max_depth": max_depth,
            "learning_rate": learning_rate,
            "max_bin": max_bin,
            "device": device,
            "seed": random_state,
        } | options

    @property
    def in_parts(self) -> bool:
        """Whether the expression may lie in a file: for histograms, not for DART, nor for other tree methods."""
        return self.params.get("tree_method", "hist") == "hist" and self.params.get("booster", "gbtree") != "dart"

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Boost on ``split.train``; cells × genes."""
        y = group[split.train]
        self.n_groups = int(group.max()) + 1
        with self._folder(len(split.train), X.shape[1]) as folder:
            self.booster = self._boosted(X, split.train, y, folder)
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Groups × genes; see ``importance`` above."""
        if self.kind == "shap":
            cells = draw(group, split.train, self.max_explained, self.random_state, balanced=True)
            return treeshap.mean_abs(self.booster, take(X, cells), self.n_groups)
        return weigh_by_expression(self.gain(X.shape[1]), X, group, self.n_groups, cells=split.train)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The group code of each cell."""
        return to_host(self.booster.inplace_predict(place(X, self.device)).argmax(axis=1))

    def weight(self, y: np.ndarray) -> np.ndarray | None:
        """The weight of each training cell of these groups; None: all alike."""
        if self.class_weight is None:
            return None
        from sklearn.utils.class_weight import compute_sample_weight

        return compute_sample_weight(self.class_weight, y)

    def _boosted(self, X: Any, cells: np.ndarray, y: np.ndarray, folder: str | None) -> Booster:
        data = self._training_matrix(X, cells, y, folder)
        booster = Booster(self.params | {"num_class": self.n_groups}, [data])
        for round_ in track(range(self.n_estimators), "boosting", unit="round"):
            booster.update(data, round_)
        return booster

    def _training_matrix(self, X: Any, cells: np.ndarray, y: np.ndarray, folder: str | None) -> DMatrix:
        """The numbered cells as numbers of bins, in memory or in files in a folder.

        Bins are cut by the first block, a uniform random sample: XGBoost's own cut points would depend on how many
        blocks it is given, or on which workers hold them.
        """
        weight = self.weight(y)
        if not self.in_parts:
            return DMatrix(take(X, cells), y, weight=weight)
        batches = partial(Batches, X, y=y, weight=weight, device=self.device)
        blocks, like = by_block(cells, X.shape), {"max_bin": self.params["max_bin"]}
        if len(blocks) > 1:
            like["ref"] = QuantileDMatrix(batches(blocks[:1]), **like)
        if folder is None:
            return QuantileDMatrix(batches(blocks), **like)
        return ExtMemQuantileDMatrix(batches(blocks, cache_prefix=f"{folder}/bins"), **like)

    @contextmanager
    def _folder(self, n_cells: int, n_genes: int) -> Iterator[str | None]:
        """A folder for numbers of bins that do not fit into the memory of the host, gone afterwards, or None."""
        n_bytes = BYTES_PER_BIN_NUMBER * n_cells * n_genes
        if not self.in_parts or self.device == "cuda" or n_bytes <= SHARE_FOR_BINS * memory.room():
            yield None
            return
        atomic.remove_leftovers(spill.folder(), f"{BINS}*")
        where = spill.need_disk(n_bytes, f"XGBoost's copy of {n_cells:,} cells × {n_genes:,} genes")
        with TemporaryDirectory(prefix=BINS, suffix=atomic.PARTIAL, dir=where) as folder:
            held = atomic.lock(Path(folder))
            try:
                yield folder
            finally:
                os.close(held)

    def gain(self, n_genes: int) -> np.ndarray:
        """The gain of each gene, as a share of all."""
        gain = np.zeros(n_genes)
        for feature, value in self.booster.get_score(importance_type=self.kind).items():
            gain[int(feature[1:])] = value
        return gain / max(gain.sum(), np.finfo(float).tiny)


class Batches(DataIter):
    """The training cells of a dense matrix, a block at a time, so that no second copy of all of them is made."""

    def __init__(
        self,
        X: Any,
        blocks: list[np.ndarray],
        *,
        y: np.ndarray,
        device: str,
        weight: np.ndarray | None,
        **cache: str,
    ) -> None:
        super().__init__(on_host=False, **cache)
        self.X, self.blocks, self.y, self.weight, self.device = X, blocks, y, weight, device
        self.reset()

    def next(self, input_data: Callable) -> bool:
        """Hand on the next block; False at the end."""
        if self.number == len(self.blocks):
            return False
        cells = self.blocks[self.number]
        part = slice(self.start, self.start + len(cells))
        weight = None if self.weight is None else self.weight[part]
        input_data(data=place(take(self.X, cells), self.device), label=self.y[part], weight=weight)
        self.number, self.start = self.number + 1, part.stop
        return True

    def reset(self) -> None:
        """Start again."""
        self.number = self.start = 0
