"""How a network learns: batches of shuffled blocks of cells, Adam, early stopping."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.optim.adam import adam

from smash_gpu.blocks.prefetch import prefetched
from smash_gpu.runtime.progress import track

PREDICTED_AT_ONCE = 8192
SMALL_BATCH = 1_000_000
Block = tuple[torch.Tensor, torch.Tensor]


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


class Blocks(Sequence):
    """Standardised cells and their groups, made a block at a time whenever they are asked for.

    Parameters
    ----------
    load
        Maps row numbers to tensors: cells × genes, and groups.
    rows
        Row numbers of each block.
    """

    def __init__(self, load: Callable[[np.ndarray], Block], rows: list[np.ndarray]) -> None:
        self._load = load
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Block:
        return self._load(self._rows[number])


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
    train: Sequence[Block],
    test: Sequence[Block],
    weights: torch.Tensor,
    training: Training,
) -> None:
    """Adam on weighted cross-entropy; stop ``patience`` epochs after the best held-out loss, return to its weights.

    Parameters
    ----------
    train, test
        Blocks of standardised cells with their groups.
    training
        With a batch size.
    """
    optimizer = Adam(network, training.learning_rate)
    best, since_best, best_state = np.inf, 0, None
    for _ in track(range(training.max_epochs), "training the network", unit="epoch"):
        train_epoch(network, optimizer, train, weights=weights, batch_size=training.batch_size)
        loss = held_out_loss(network, test)
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
    blocks: Sequence[Block],
    *,
    weights: torch.Tensor,
    batch_size: int,
) -> None:
    """One pass over shuffled cells. A last batch of a single cell, which batch norm cannot take, is left out."""
    network.train()
    for x, y in prefetched(blocks.__getitem__, torch.randperm(len(blocks)).tolist()):
        for batch in torch.randperm(len(y), device=y.device).split(batch_size):
            if len(batch) < 2:
                continue
            losses = nn.functional.cross_entropy(network(x[batch]), y[batch], reduction="none")
            (losses * weights[y[batch]]).mean().backward()
            optimizer.step()


def held_out_loss(network: nn.Module, blocks: Sequence[Block]) -> float:
    """Unweighted cross-entropy of the held-out cells."""
    network.eval()
    total, n_cells = 0.0, 0
    with torch.inference_mode():
        for x, y in prefetched(blocks.__getitem__, range(len(blocks))):
            parts = zip(x.split(PREDICTED_AT_ONCE), y.split(PREDICTED_AT_ONCE), strict=True)
            total += sum(nn.functional.cross_entropy(network(a), b, reduction="sum") for a, b in parts)
            n_cells += len(y)
        return float(total) / n_cells  # synchronises
