"""The paper's neural network in PyTorch, ranked by Shapley values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import nn
from torch.optim.adam import adam

from smash_gpu.arrays import take
from smash_gpu.attribution import deeplift
from smash_gpu.attribution.gini import gini
from smash_gpu.progress import track
from smash_gpu.splits import Split, draw
from smash_gpu.stats import mean_std, standardize

PREDICTED_AT_ONCE = 8192
SMALL_BATCH = 1_000_000


@dataclass(frozen=True)
class Training:
    """How the network learns: Keras' defaults of 2021, as the paper used them.

    ``batch_size`` None means 100 up to 20,000 training cells and beyond that 1 in 200 of them, at most 8,192.
    """

    max_epochs: int = 100
    patience: int = 5
    learning_rate: float = 1e-3
    batch_size: int | None = None

    def cells_per_batch(self, n_cells: int) -> int:
        """The batch size for so many training cells."""
        return self.batch_size or min(max(100, n_cells // 200), 8192)


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
        train, test = (self._tensors(X, group, cells) for cells in (split.train, split.test))
        values_per_batch = self.training.cells_per_batch(len(split.train)) * X.shape[1]
        with seeded(self.random_state, self.device), threads_for(values_per_batch):
            self.network = self._new_module(X.shape[1], n_groups).to(self.device)
            learn(self.network, train, test, class_weights(train[1], n_groups), self.training)
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
        return gini(scores, take(X, split.train), group[split.train], len(scores)) if self.by_expression else scores

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

    def _tensors(self, X: np.ndarray, group: np.ndarray, cells: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return self._z(take(X, cells)), torch.as_tensor(group[cells], dtype=torch.long, device=self.device)


@contextmanager
def seeded(random_state: int, device: str) -> Iterator[None]:
    """Torch's generators at ``random_state`` inside, as they were outside."""
    devices = [device] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random_state)
        yield


class Adam:
    """Adam (Kingma & Ba 2015) with Keras' ε, by torch's own fused step.

    ``torch.optim.Adam`` is the same step but first loads torch's compiler: 1.1 s and 76 MB.
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.averages = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter against its gradient, and forget the gradient."""
        gradients = [p.grad for p in self.parameters]
        adam(
            self.parameters, gradients, self.averages, self.squares, [], self.steps, fused=True, foreach=False,
            amsgrad=False, beta1=0.9, beta2=0.999, lr=self.learning_rate, weight_decay=0.0, eps=1e-7, maximize=False,
        )  # fmt: skip
        for p in self.parameters:
            p.grad = None


@contextmanager
def threads_for(values_per_batch: int) -> Iterator[None]:
    """One thread while batches are small, which is as fast, the same on any number of cores, and good to neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if values_per_batch < SMALL_BATCH else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def class_weights(group: torch.Tensor, n_groups: int) -> torch.Tensor:
    """N / (K · n_c) of each group."""
    sizes = torch.bincount(group, minlength=n_groups).clamp(min=1)
    return len(group) / (n_groups * sizes.float())


def learn(
    network: nn.Module,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    weights: torch.Tensor,
    training: Training,
) -> None:
    """Adam on weighted cross-entropy; stop ``patience`` epochs after the best held-out loss, return to its weights."""
    optimizer = Adam(network, training.learning_rate)
    best, since_best, best_state = np.inf, 0, None
    for _ in track(range(training.max_epochs), "training the network", unit="epoch"):
        train_epoch(network, optimizer, train, weights=weights, batch_size=training.cells_per_batch(len(train[1])))
        loss = held_out_loss(network, *test)
        since_best += 1
        if loss < best:
            best, since_best, best_state = loss, 0, copy.deepcopy(network.state_dict())
        if since_best >= training.patience:
            break
    if best_state is None:
        raise FloatingPointError(
            "the network's loss was never finite; lower the learning rate or check the expression."
        )
    network.load_state_dict(best_state)


def train_epoch(
    network: nn.Module,
    optimizer: Adam,
    cells: tuple[torch.Tensor, torch.Tensor],
    *,
    weights: torch.Tensor,
    batch_size: int,
) -> None:
    """One pass over shuffled cells. A last batch of a single cell, which batch norm cannot take, is left out."""
    network.train()
    x, y = cells
    for batch in torch.randperm(len(y), device=y.device).split(batch_size):
        if len(batch) < 2:
            continue
        losses = nn.functional.cross_entropy(network(x[batch]), y[batch], reduction="none")
        (losses * weights[y[batch]]).mean().backward()
        optimizer.step()


def held_out_loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Unweighted cross-entropy of the held-out cells."""
    network.eval()
    with torch.inference_mode():
        parts = zip(x.split(PREDICTED_AT_ONCE), y.split(PREDICTED_AT_ONCE), strict=True)
        total = sum(nn.functional.cross_entropy(network(a), b, reduction="sum") for a, b in parts)
        return float(total) / len(y)  # synchronises
