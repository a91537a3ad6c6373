"""Training of a network: batches from shuffled blocks of cells, Adam, early stopping."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
import torch
from torch import nn

from smash_gpu.blocks.prefetch import prefetched
from smash_gpu.models.perceptron_shape import Shape
from smash_gpu.models.training_step import GroupLasso, Step, training_step
from smash_gpu.runtime.progress import track

PREDICTED_AT_ONCE = 8192
SMALL_BATCH = 1_000_000
Block = tuple[torch.Tensor, torch.Tensor]


def perceptron(n_genes: int, n_groups: int, shape: Shape | None = None) -> nn.Sequential:
    """Dense layers, batch norm, sigmoid, dropout (paper, Methods); cells × genes in, logits out."""
    layers: list[nn.Module] = []
    width = n_genes
    for units, dropout in (shape or Shape()).layers:
        norm = nn.BatchNorm1d(units, eps=1e-3, momentum=0.01)
        layers += [nn.Linear(width, units), norm, nn.Sigmoid(), nn.Dropout(dropout)]
        width = units
    network = nn.Sequential(*layers, nn.Linear(width, n_groups))
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


def new_module(module: Any, n_genes: int, n_groups: int, shape: Shape | None = None) -> nn.Module:
    """The `perceptron`, a copy of a user's module, or the result of a user's function; see `network.Network`."""
    if module is None:
        return perceptron(n_genes, n_groups, shape)
    return copy.deepcopy(module) if isinstance(module, nn.Module) else module(n_genes, n_groups)


def as_floats(values: np.ndarray, device: str) -> torch.Tensor:
    """A float32 tensor on the device."""
    return torch.as_tensor(values, dtype=torch.float32).to(device)


def as_codes(group: np.ndarray, device: str) -> torch.Tensor:
    """Groups as an int64 tensor on the device."""
    return torch.as_tensor(group, dtype=torch.long, device=device)


class Blocks(Sequence[Block]):
    """Standardised cells and their classes, loaded one block at a time when accessed.

    Parameters
    ----------
    load
        A function from row numbers to two tensors: cells × genes, and classes.
    rows
        Row numbers of each block.
    """

    def __init__(self, load: Callable[[np.ndarray], Block], rows: list[np.ndarray]) -> None:
        self._load = load
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Block: ...

    @overload
    def __getitem__(self, number: slice) -> Blocks: ...

    def __getitem__(self, number: int | slice) -> Block | Blocks:
        rows = self._rows[number]
        return Blocks(self._load, rows) if isinstance(rows, list) else self._load(rows)


@contextmanager
def seeded(random_state: int, device: str) -> Iterator[None]:
    """Seed the random generators of torch inside the block, and restore them afterwards."""
    devices = [device] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random_state)
        yield


@contextmanager
def threads_for(values_per_batch: int) -> Iterator[None]:
    """Use one thread for small batches: as fast, independent of the number of cores, and leaves cores free."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if values_per_batch < SMALL_BATCH else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learn(
    network: nn.Module,
    train: Sequence[Block],
    test: Sequence[Block],
    weights: torch.Tensor,
    lasso: GroupLasso | None = None,
    *,
    max_epochs: int,
    patience: int,
    tol: float,
    learning_rate: float,
    batch_size: int,
) -> None:
    """Train with Adam on weighted cross-entropy; keep the epoch with the smallest held-out loss.

    Stop after ``patience`` epochs in a row whose loss, without the penalty of the group lasso, is not more than ``tol``
    below the last one that was.

    Parameters
    ----------
    train, test
        Blocks of standardised cells with their classes.
    weights
        The weight of each class, float32.
    """
    step = training_step(network, weights, learning_rate, lasso)
    best, counted, since, best_state = np.inf, np.inf, 0, None
    for _ in track(range(max_epochs), "training the network", unit="epoch"):
        train_epoch(step, train, batch_size)
        loss = held_out_loss(network, test)
        since += 1
        if loss < counted - tol:
            counted, since = loss, 0
        if loss < best:
            best, best_state = loss, copy.deepcopy(network.state_dict())
        if since >= patience:
            break
    if best_state is None:
        raise FloatingPointError(
            "the loss of the network was never finite; lower the learning rate or check the expression values."
        )
    network.load_state_dict(best_state)


def train_epoch(step: Step, blocks: Sequence[Block], batch_size: int) -> None:
    """One pass over shuffled cells; batches of a single cell are skipped, because batch norm needs two."""
    step.network.train()
    for x, y in prefetched(blocks.__getitem__, torch.randperm(len(blocks)).tolist()):
        for rows in torch.randperm(len(y), device=y.device).split(batch_size):
            if len(rows) > 1:
                step(x, y, rows)


def held_out_loss(network: nn.Module, blocks: Sequence[Block]) -> float:
    """Unweighted cross-entropy of the held-out cells."""
    network.eval()
    total: torch.Tensor | float = 0.0
    n_cells = 0
    with torch.inference_mode():
        for x, y in prefetched(blocks.__getitem__, range(len(blocks))):
            parts = zip(x.split(PREDICTED_AT_ONCE), y.split(PREDICTED_AT_ONCE), strict=True)
            total += sum(nn.functional.cross_entropy(network(a), b, reduction="sum") for a, b in parts)
            n_cells += len(y)
        return float(total) / n_cells  # synchronises


def predicted(network: nn.Module, X: Any, z: Callable[[Any], torch.Tensor]) -> np.ndarray:
    """The class code of each cell, some cells at a time; ``z`` turns expression into standardised tensors."""
    with torch.inference_mode():
        starts = range(0, len(X), PREDICTED_AT_ONCE)
        parts = [network(z(X[i : i + PREDICTED_AT_ONCE])).argmax(1) for i in starts]
    return torch.cat(parts).cpu().numpy()  # synchronises
