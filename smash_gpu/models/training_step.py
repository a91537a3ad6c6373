"""A training step of a network on one batch: its kernels launched one by one, or recorded and launched together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from typing import Any, Self

import torch
from torch import nn
from torch.optim.adam import adam

RECORDABLE = (
    nn.Sequential, nn.Linear, nn.Dropout, nn.BatchNorm1d, nn.LayerNorm,
    nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus,
)  # fmt: skip
MOST_RECORDED = 16  # batch sizes; a record keeps memory of its own
PLAIN_STEPS = 3  # of each batch size before it is recorded; the first ones set up libraries and their memory


class Adam:
    """Adam (Kingma & Ba 2015) with the ε of Keras, using the fused step of torch.

    ``torch.optim.Adam`` does the same at the same speed, but first imports the torch compiler: 1.1 s and 72 MB.
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.parameters: list[torch.Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.averages = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient, if it has one, and clear the gradient."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        used = [p.grad is not None for p in self.parameters]
        state = self.parameters, self.averages, self.squares, self.steps
        parameters, averages, squares, steps = (list(compress(tensors, used)) for tensors in state)
        adam(
            parameters, gradients, averages, squares, [], steps, fused=True, foreach=False,
            amsgrad=False, beta1=0.9, beta2=0.999, lr=self.learning_rate, weight_decay=0.0, eps=1e-7, maximize=False,
        )  # fmt: skip
        for p in self.parameters:
            p.grad = None


@dataclass(frozen=True)
class GroupLasso:
    """The penalty ``λ Σ_g ‖W[:, g]‖`` on a first layer (Yuan & Lin 2006): a gene has all its weights, or none.

    Attributes
    ----------
    weight
        Weights of the first layer, units × genes.
    penalty
        λ; the same for all genes, which have equally many weights.
    """

    weight: torch.Tensor
    penalty: float

    @classmethod
    def of(cls, network: nn.Module, n_genes: int, penalty: float) -> Self | None:
        """The penalty on the first dense layer of a network; None without a penalty.

        Raises
        ------
        ValueError
            If the network does not begin with a dense layer of all genes.
        """
        if penalty == 0:
            return None
        dense = next((layer for layer in network.modules() if isinstance(layer, nn.Linear)), None)
        if dense is None or dense.in_features != n_genes:
            raise ValueError(
                f"group_lasso={penalty} needs a module whose first torch.nn.Linear takes all {n_genes:,} genes; yours "
                "does not. Pass group_lasso=0."
            )
        return cls(dense.weight, penalty)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """The proximal step (Parikh & Boyd 2014): shorten each column by ``learning_rate · λ``, or to 0, in place.

        ``W[:, g] · max(0, 1 − learning_rate · λ / ‖W[:, g]‖)``; 0 · max(0, 1 − ∞) = 0. It looks at no value, so that
        it can be recorded. λ is measured against the steps of Adam, about the learning rate for every weight.
        """
        length = torch.linalg.vector_norm(self.weight, dim=0)
        self.weight.mul_((1 - learning_rate * self.penalty / length).clamp_(min=0))

    @property
    def n_genes(self) -> int:
        """Number of genes that have weights left; synchronises."""
        return int(self.weight.any(dim=0).sum())


class Step:
    """Weighted cross-entropy of a batch, its gradients, Adam, and the proximal step of a group lasso if there is one.

    Parameters
    ----------
    weights
        The weight of each class, float32.
    """

    def __init__(
        self, network: nn.Module, weights: torch.Tensor, learning_rate: float, lasso: GroupLasso | None = None
    ) -> None:
        self.network = network
        self.weights = weights
        self.adam = Adam(network, learning_rate)
        self.lasso = lasso

    def __call__(self, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> None:
        """Learn from the numbered rows of a block: cells × genes, and the class of each cell."""
        self.learn(x[rows], y[rows])

    def learn(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Learn from all cells given."""
        losses = nn.functional.cross_entropy(self.network(x), y, reduction="none")
        (losses * self.weights[y]).mean().backward()
        self.adam.step()
        if self.lasso is not None:
            self.lasso.step(self.adam.learning_rate)


class Graphs:
    """CUDA graphs: the kernels that a function launches, recorded once, then launched together without Python."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def run(self, function: Callable[[], None]) -> None:
        """Run a function on the stream on which it will be recorded."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            function()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """What repeats a function on the same tensors, with new random numbers; recording it computes nothing."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):  # others read ahead
            function()
        return graph.replay


class RecordedStep(Step):
    """The same step, recorded for each frequent batch size: same random numbers, same results.

    A batch is copied to tensors of its own, which the recorded kernels read. Launching the kernels of one step of the
    paper's network takes about eight times as long as running them.

    Parameters
    ----------
    graphs
        What records; `Graphs`.
    """

    def __init__(
        self, network: nn.Module, weights: torch.Tensor, learning_rate: float, lasso: GroupLasso | None, graphs: Any
    ) -> None:
        super().__init__(network, weights, learning_rate, lasso)
        self.graphs = graphs
        self.seen: Counter[int] = Counter()
        self.recorded: dict[int, tuple[torch.Tensor, torch.Tensor, Callable[[], None]]] = {}

    def __call__(self, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> None:
        """Learn from the numbered rows of a block: cells × genes, and the class of each cell."""
        size = len(rows)
        self.seen[size] += 1
        is_new = size not in self.recorded
        if self.seen[size] <= PLAIN_STEPS or (is_new and len(self.recorded) == MOST_RECORDED):
            self.graphs.run(lambda: self.learn(x[rows], y[rows]))
            return
        if is_new:
            cells, groups = torch.empty_like(x[:size]), torch.empty_like(y[:size])
            self.recorded[size] = cells, groups, self.graphs.record(lambda: self.learn(cells, groups))
        cells, groups, repeat = self.recorded[size]
        torch.index_select(x, 0, rows, out=cells)
        torch.index_select(y, 0, rows, out=groups)
        repeat()


def training_step(
    network: nn.Module, weights: torch.Tensor, learning_rate: float, lasso: GroupLasso | None = None
) -> Step:
    """The step of a network: recorded on a CUDA device if only `RECORDABLE` layers are in it, else plain.

    Other layers may look at values while they run, which a record cannot.
    """
    if weights.device.type == "cuda" and is_recordable(network):
        return RecordedStep(network, weights, learning_rate, lasso, Graphs())
    return Step(network, weights, learning_rate, lasso)


def is_recordable(network: nn.Module) -> bool:
    """Whether no layer looks at values; batch norm without momentum looks at its number of batches."""
    return all(type(layer) in RECORDABLE and getattr(layer, "momentum", 0) is not None for layer in network.modules())
