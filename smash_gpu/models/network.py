"""The paper's neural network in PyTorch, ranked by Shapley values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from smash_gpu.compute.xp import take
from smash_gpu.data.shuffle import BYTES_PER_BLOCK, by_block
from smash_gpu.data.splits import Split, draw
from smash_gpu.data.standardize import mean_std, standardize
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.models.class_weights import class_weights
from smash_gpu.models.info import EXPRESSION, SHAPLEY, Facts, ModelInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

BY_EXPRESSION = True
BLOCKS_HELD = 3  # read, shuffled and learnt from


def facts(*, by_expression: bool = BY_EXPRESSION, **_: Any) -> Facts:
    """The facts of the network with these options."""
    return Facts(
        reads_parts=True,
        bytes_per_value=4,
        bytes_at_least=BLOCKS_HELD * BYTES_PER_BLOCK,
        score_in_words=f"{SHAPLEY}, by DeepLIFT through the network" + f" {EXPRESSION}" * bool(by_expression),
    )


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
        by_expression: bool = BY_EXPRESSION,
    ) -> None:
        from smash_gpu.models.attribution import deeplift

        if softmax_rule not in deeplift.SOFTMAX_RULES:
            raise ValueError(f"softmax_rule={softmax_rule!r} is not one of {', '.join(deeplift.SOFTMAX_RULES)}.")
        if device == "cuda":
            _need_cuda()
        self.facts = facts(by_expression=by_expression)
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
        from smash_gpu.models import torch_training as torch_

        self.mean, self.std = mean_std(X)
        blocks = [self._blocks(X, group, cells) for cells in (split.train, split.test)]
        weights = torch_.as_floats(class_weights(group[split.train]), self.device)
        training = replace(self.training, batch_size=self.training.cells_per_batch(len(split.train)))
        with torch_.seeded(self.random_state, self.device), torch_.threads_for(training.batch_size * X.shape[1]):
            self.network = torch_.new_module(self.module, X.shape[1], int(group.max()) + 1).to(self.device)
            torch_.learn(self.network, *blocks, weights, **asdict(training))
        self.network.eval()
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Mean |φ| of each gene for the probability of each group, × its mean ``z`` there; groups × genes."""
        from smash_gpu.models.attribution import deeplift

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
        from smash_gpu.models.torch_training import predicted

        return predicted(self.network, X, self._z)

    def _z(self, X: np.ndarray) -> Tensor:
        from torch import from_dlpack

        return from_dlpack(standardize(X, self.mean, self.std)).to(self.device)

    def _blocks(self, X: np.ndarray, group: np.ndarray, cells: np.ndarray) -> Sequence[tuple[Tensor, Tensor]]:
        """The numbered cells, standardised, on the device: at once, or block by block where there are several."""
        from smash_gpu.models.torch_training import Blocks, as_codes

        def load(rows: np.ndarray) -> tuple[Tensor, Tensor]:
            return self._z(take(X, rows)), as_codes(group[rows], self.device)

        blocks = Blocks(load, by_block(cells, X.shape))
        return list(blocks) if len(blocks) == 1 else blocks


def _need_cuda() -> None:
    from torch.backends import cuda

    if not cuda.is_built():
        raise RuntimeError(
            "this build of torch computes on the CPU only: install torch for CUDA (pip install "
            "'smash-gpu[cuda13]' in a new environment), or use device='cpu', or model='xgboost'."
        )


NETWORK = ModelInfo(Network, facts, paper={"by_expression": False})
