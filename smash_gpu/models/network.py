"""The paper's neural network in PyTorch, ranked by Shapley values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import nn

from smash_gpu.compute.xp import take
from smash_gpu.data.shuffle import by_block
from smash_gpu.data.splits import Split, draw
from smash_gpu.data.standardize import mean_std, standardize
from smash_gpu.models.attribution import deeplift
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.models.torch_training import (
    PREDICTED_AT_ONCE,
    Block,
    Blocks,
    Training,
    class_weights,
    learn,
    seeded,
    threads_for,
)


def perceptron(n_genes: int, n_groups: int) -> nn.Sequential:
    """Dense 32 – 16 with batch norm, sigmoid and drop-out (paper, Methods); cells × genes → logits, cells × groups."""
    network = nn.Sequential(
        nn.Linear(n_genes, 32), nn.BatchNorm1d(32, eps=1e-3, momentum=0.01), nn.Sigmoid(), nn.Dropout(0.2),
        nn.Linear(32, 16), nn.BatchNorm1d(16, eps=1e-3, momentum=0.01), nn.Sigmoid(), nn.Dropout(0.1),
        nn.Linear(16, n_groups),
    )  # fmt: skip
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


class Network:
    """A neural network on ``z``, explained by DeepLIFT.

    Cells are shuffled in blocks (`shuffle.block_cuts`: 256 MiB of expression, 65,536 cells × 1,024 genes). Which cells
    make a block is drawn at random once (`shuffle.shuffled`); an epoch takes the blocks in a new random order and the
    cells of each in a new random order. So every batch is a uniform random sample of all training cells, as if they
    were shuffled at once; only that cells of one block meet again in the next epoch. Data of one block are shuffled as
    a whole. Whoever gives ``fit`` an array of several blocks gives it rows in random order.

    Parameters
    ----------
    module
        None for the paper's network; else any torch module, or a function ``(n_genes, n_groups) -> module``, that maps
        cells × genes to logits. Other modules than the paper's are explained by ``shap.DeepExplainer``.
    softmax_rule
        "tf", as the paper's TensorFlow; "torch", as ``shap.DeepExplainer`` on PyTorch (see `attribution.deeplift`).
    max_background
        Training cells that stand for "no information", drawn in proportion to the groups.
    max_explained
        Held-out cells that are explained, the same number of each group as far as they go.
    training
        Epochs, patience, learning rate and batch size.
    by_expression
        Whether mean |φ| is multiplied by the group's mean of ``z``, as the importances of trees are: φ has no sign, so
        that a gene that is low in a group otherwise counts as its marker. False: the paper's score.
    """

    in_parts = True

    def __init__(
        self,
        *,
        random_state: int = 0,
        device: str = "cpu",
        module: nn.Module | Callable[[int, int], nn.Module] | None = None,
        softmax_rule: str = "tf",
        max_background: int = 200,
        max_explained: int = 500,
        training: Training | None = None,
        by_expression: bool = True,
    ) -> None:
        if softmax_rule not in deeplift.SOFTMAX_RULES:
            raise ValueError(f"softmax_rule={softmax_rule!r} is not one of {', '.join(deeplift.SOFTMAX_RULES)}.")
        if device == "cuda" and not torch.backends.cuda.is_built():
            raise RuntimeError(
                "this build of torch computes on the CPU only: install torch for CUDA (pip install "
                "'smash-gpu[cuda13]' in a new environment), or use device='cpu', or model='xgboost'."
            )
        self.random_state = random_state
        self.device = device
        self.module = module
        self.softmax_rule = softmax_rule
        self.max_background = max_background
        self.max_explained = max_explained
        self.training = training or Training()
        self.by_expression = by_expression

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Learn from ``split.train``, stop by the loss on ``split.test``, keep the best epoch; cells × genes."""
        self.mean, self.std = mean_std(X)
        n_groups = int(group.max()) + 1
        train, test = (self._blocks(X, group, cells) for cells in (split.train, split.test))
        weights = class_weights(torch.as_tensor(group[split.train]), n_groups).to(self.device)
        batch_size = self.training.cells_per_batch(len(split.train))
        with seeded(self.random_state, self.device), threads_for(batch_size * X.shape[1]):
            self.network = self._new_module(X.shape[1], n_groups).to(self.device)
            learn(self.network, train, test, weights, replace(self.training, batch_size=batch_size))
        self.network.eval()
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Mean |φ| of each gene for the probability of each group, × its mean ``z`` there; groups × genes."""
        seed = self.random_state
        background = draw(group, split.train, self.max_background, seed, balanced=False)
        explained = draw(group, split.test, self.max_explained, seed, balanced=True)
        x, r = (self._z(take(X, cells)) for cells in (explained, background))
        if self.module is None:
            layers = deeplift.Layers.of(self.network)
            parts = deeplift.contributions(layers, x, r, self.softmax_rule)
        else:
            parts = deeplift.by_shap(self.network, x, r)
        scores = deeplift.mean_abs(parts, len(x))
        return weigh_by_expression(scores, X, group, len(scores), cells=split.train) if self.by_expression else scores

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The group code of each cell."""
        with torch.inference_mode():
            starts = range(0, len(X), PREDICTED_AT_ONCE)
            parts = [self.network(self._z(X[i : i + PREDICTED_AT_ONCE])).argmax(1) for i in starts]
        return torch.cat(parts).cpu().numpy()  # synchronises

    def _new_module(self, n_genes: int, n_groups: int) -> nn.Module:
        if self.module is None:
            return perceptron(n_genes, n_groups)
        return copy.deepcopy(self.module) if isinstance(self.module, nn.Module) else self.module(n_genes, n_groups)

    def _z(self, X: np.ndarray) -> torch.Tensor:
        return torch.from_dlpack(standardize(X, self.mean, self.std)).to(self.device)

    def _blocks(self, X: np.ndarray, group: np.ndarray, cells: np.ndarray) -> Sequence[Block]:
        """The numbered cells, standardised, on the device: at once, or block by block where there are several."""

        def load(rows: np.ndarray) -> Block:
            return self._z(take(X, rows)), torch.as_tensor(group[rows], dtype=torch.long, device=self.device)

        blocks = Blocks(load, by_block(cells, X.shape))
        return list(blocks) if len(blocks) == 1 else blocks
