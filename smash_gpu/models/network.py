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
from smash_gpu.errors import warn
from smash_gpu.models.attribution.by_expression import weigh_by_expression
from smash_gpu.models.class_weights import class_weights
from smash_gpu.models.info import SEPARATION, SHAPLEY, SOFTMAX_RULES, Facts, ModelInfo
from smash_gpu.models.perceptron_shape import Shape
from smash_gpu.models.search import Range
from smash_gpu.runtime.whole import require_at_least, require_real
from smash_gpu.runtime.words import not_one_of

if TYPE_CHECKING:
    from torch import Tensor, nn

BY_EXPRESSION = True
GROUP_LASSO = 0.3
EXPLAINED_CELLS = ("train", "test")
BLOCKS_HELD = 3  # one being read, one shuffled, one used for training


def facts(*, by_expression: bool = BY_EXPRESSION, **_: Any) -> Facts:
    """The facts of the network with these options."""
    return Facts(
        reads_parts=True,
        bytes_per_value=4,
        bytes_at_least=BLOCKS_HELD * BYTES_PER_BLOCK,
        score_in_words=f"{SHAPLEY}, by DeepLIFT through the network" + f" {SEPARATION}" * bool(by_expression),
    )


@dataclass(frozen=True)
class Training:
    """Training settings of the network; the paper's are ``learning_rate=1e-3`` and ``tol=0``, as in Keras.

    It stops after ``patience`` epochs in a row whose loss on held-out cells is not more than ``tol`` below the last one
    that was, and keeps the epoch with the smallest loss. ``batch_size`` None means 100 for up to 20,000 training cells,
    then 1/200 of them, at most 8,192.
    """

    max_epochs: int = 100
    patience: int = 5
    tol: float = 1e-3
    learning_rate: float = 3e-3
    batch_size: int | None = None

    def __post_init__(self) -> None:
        require_at_least(1, max_epochs=self.max_epochs, patience=self.patience)
        if self.batch_size is not None:
            require_at_least(2, batch_size=self.batch_size)  # batch norm needs two cells
        require_real(learning_rate=self.learning_rate, tol=self.tol)
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0, and finite.")
        if not 0 <= self.tol < np.inf:
            raise ValueError(f"tol={self.tol} must be at least 0, and finite.")

    def cells_per_batch(self, n_cells: int) -> int:
        """The batch size for this number of training cells."""
        return self.batch_size or min(max(100, n_cells // 200), 8192)


class Network:
    """A neural network on ``z``, explained by DeepLIFT.

    Cells are shuffled in blocks (256 MiB of expression, 65,536 cells × 1,024 genes). Cells are
    assigned to blocks at random once. Each epoch uses the blocks, and the cells within each block,
    in a new random order. So every batch is a uniform random sample of all training cells, as in a full shuffle, but
    cells of one block stay together in all epochs. Data of one block are shuffled completely. If you call ``fit`` with
    several blocks, pass the rows in random order.

    Parameters
    ----------
    random_state
        Seed.
    device
        "cpu" or "cuda".
    module
        None for the paper's network; else any torch module, or a function ``(n_genes, n_groups) -> module``, that maps
        cells × genes to logits. Modules other than the paper's are explained by ``shap.DeepExplainer``.
    n_layers, n_hidden, dropout_rate
        Hidden layers of the paper's network, units of the first one, and its drop-out; each further layer has half of
        both.
    learning_rate
        Of Adam. None: 0.003.
    max_epochs, patience, tol
        Training stops after ``patience`` epochs in a row whose loss on held-out cells is not more than ``tol`` below
        the last one that was, at the latest after ``max_epochs``, and the epoch with the smallest loss is kept. None:
        100, 5 and 0.001.
    batch_size
        Cells per training step. None: 100 for up to 20,000 training cells, then 1/200 of them, at most 8,192.
    softmax_rule
        "torch" as in ``shap.DeepExplainer`` on PyTorch; "tf" as in the paper's TensorFlow.
    max_background
        Number of training cells used as the reference without information, drawn in proportion to the classes.
    max_explained
        Number of cells that are explained, with equal numbers per class as far as available.
    explained_cells
        "train": training cells, of which rare classes have more; "test": held-out cells, as in the paper.
    group_lasso
        λ of the group lasso on the first layer W, units × genes: after every training step the proximal step shortens
        each ``W[:, g]`` by learning rate × λ, or to 0. Without it nothing takes the weights of genes that are not
        needed, and networks with other seeds put other genes first. None: 0.3 for the paper's network, 0 for a
        ``module`` of your own, whose first ``torch.nn.Linear`` must take all genes. 0: none, as in the paper. Adam
        moves a weight by about the learning rate, so that from λ = 3 on a network may learn nothing: see the accuracy.
    training
        These five together; those given one by one take precedence.
    by_expression
        Whether mean ``|φ|`` is multiplied by the separation of the class from each other class b,
        ``Σ_b sign(m_c − m_b) (1 − exp(−s(c, b) / 2))``, m class means and s as in `tl.panel`. ``|φ|`` has no sign, so
        otherwise a gene that is low in a class counts as its marker. False: the score of the paper.

    Raises
    ------
    ValueError
        If ``softmax_rule`` or ``explained_cells`` is none of these words, ``group_lasso`` or ``tol`` is negative, or a
        layer, the learning rate or a number of epochs or cells is impossible.
    RuntimeError
        If ``device="cuda"`` and PyTorch was built for the CPU only.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods. DeepLIFT: Shrikumar et al., ICML 2017. Group lasso: Yuan & Lin, J. R.
    Stat. Soc. B 2006. Proximal step: Parikh & Boyd, Foundations and Trends in Optimization 2014.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", model=smg.models.Network(max_explained=50), n_top=2)
    >>> bool((adata.var["marker_of"][smg.get.markers(adata, "A")["name"]] == "A").all())
    True
    """

    def __init__(
        self,
        *,
        random_state: int = 0,
        device: str = "cpu",
        module: nn.Module | Callable[[int, int], nn.Module] | None = None,
        n_layers: int = Shape.n_layers,
        n_hidden: int = Shape.n_hidden,
        dropout_rate: float = Shape.dropout_rate,
        learning_rate: float | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        tol: float | None = None,
        batch_size: int | None = None,
        softmax_rule: str = SOFTMAX_RULES[0],
        max_background: int = 200,
        max_explained: int = 500,
        explained_cells: str = EXPLAINED_CELLS[0],
        group_lasso: float | None = None,
        training: Training | None = None,
        by_expression: bool = BY_EXPRESSION,
    ) -> None:
        if softmax_rule not in SOFTMAX_RULES:
            raise ValueError(not_one_of("softmax_rule", softmax_rule, SOFTMAX_RULES))
        if explained_cells not in EXPLAINED_CELLS:
            raise ValueError(not_one_of("explained_cells", explained_cells, EXPLAINED_CELLS))
        if group_lasso is not None and not 0 <= group_lasso < np.inf:
            raise ValueError(f"group_lasso={group_lasso} must be at least 0, which is no penalty, and finite.")
        if device == "cuda":
            _need_cuda()
        self.facts = facts(by_expression=by_expression)
        self.random_state = random_state
        self.device = device
        self.module = module
        self.shape = Shape(n_layers, n_hidden, dropout_rate)
        self.softmax_rule = softmax_rule
        self.max_background = max_background
        self.max_explained = max_explained
        self.explained_cells = explained_cells
        self.group_lasso = (GROUP_LASSO if module is None else 0.0) if group_lasso is None else group_lasso
        given: dict[str, Any] = {
            "learning_rate": learning_rate, "max_epochs": max_epochs, "patience": patience, "tol": tol,
            "batch_size": batch_size,
        }  # fmt: skip
        self.training = replace(training or Training(), **{name: x for name, x in given.items() if x is not None})
        self.by_expression = by_expression

    def fit(self, X: np.ndarray, group: np.ndarray, split: Split) -> Self:
        """Learn from ``split.train``, stop by the loss on ``split.test``, keep the best epoch; cells × genes."""
        from smash_gpu.models import torch_training as torch_
        from smash_gpu.models.training_step import GroupLasso

        self.mean, self.std = mean_std(X)
        self.found: tuple[Any, np.ndarray] = (None, np.zeros(0))
        train, test = (self._blocks(X, group, cells) for cells in (split.train, split.test))
        weights = torch_.as_floats(class_weights(group[split.train]), self.device)
        training = replace(self.training, batch_size=self.training.cells_per_batch(len(split.train)))
        with torch_.seeded(self.random_state, self.device), torch_.threads_for(training.batch_size * X.shape[1]):
            network = torch_.new_module(self.module, X.shape[1], int(group.max()) + 1, self.shape)
            self.network = network.to(self.device)
            lasso = GroupLasso.of(self.network, X.shape[1], self.group_lasso)
            torch_.learn(self.network, train, test, weights, lasso, **asdict(training))
        self.network.eval()
        if lasso is not None and lasso.n_genes == 0:
            warn(
                f"group_lasso={self.group_lasso} leaves no gene any weight, so the network tells no classes apart. "
                "Pass a smaller one."
            )
        return self

    def importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Mean absolute φ of each gene for the probability of a class, × its signed separation; classes × genes."""
        scores = self._mean_abs(X, group, split, getattr(split, self.explained_cells))
        if not self.by_expression:
            return scores
        return weigh_by_expression(scores, X, group, len(scores), by="separation", cells=split.train)

    def global_importance(self, X: np.ndarray, group: np.ndarray, split: Split) -> np.ndarray:
        """Mean absolute φ of each gene over all classes and at most ``max_explained`` training cells, balanced."""
        return self._mean_abs(X, group, split, split.train).mean(axis=0)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class code of each cell."""
        from smash_gpu.models.torch_training import predicted

        return predicted(self.network, X, self._z)

    def _mean_abs(self, X: np.ndarray, group: np.ndarray, split: Split, cells: np.ndarray) -> np.ndarray:
        """Mean absolute φ over some of the numbered cells; classes × genes. The last one is kept."""
        from smash_gpu.models.attribution import deeplift

        seed = self.random_state
        background = draw(group, split.train, self.max_background, seed, balanced=False)
        explained = draw(group, cells, self.max_explained, seed, balanced=True)
        of = id(X), self.softmax_rule, background.tobytes(), explained.tobytes()
        if self.found[0] == of:
            return self.found[1]
        x, r = (self._z(take(X, cells)) for cells in (explained, background))
        if self.module is None:
            layers = deeplift.Layers.of(self.network)
            parts = deeplift.contributions(layers, x, r, self.softmax_rule)
        else:
            parts = deeplift.by_shap(self.network, x, r)
        self.found = of, deeplift.mean_abs(parts, len(x))
        return self.found[1]

    def _z(self, X: np.ndarray) -> Tensor:
        from torch import from_dlpack

        return from_dlpack(standardize(X, self.mean, self.std)).to(self.device)

    def _blocks(self, X: np.ndarray, group: np.ndarray, cells: np.ndarray) -> Sequence[tuple[Tensor, Tensor]]:
        """The numbered cells, standardised, on the device: in memory if one block, else loaded block by block."""
        from smash_gpu.models.torch_training import Blocks, as_codes

        def load(rows: np.ndarray) -> tuple[Tensor, Tensor]:
            return self._z(take(X, rows)), as_codes(group[rows], self.device)

        blocks = Blocks(load, by_block(cells, X.shape))
        return list(blocks) if len(blocks) == 1 else blocks


def _need_cuda() -> None:
    from torch.backends import cuda

    if not cuda.is_built():
        raise RuntimeError(
            "this build of torch supports only the CPU; install torch for CUDA (pip install "
            "'smash-gpu[cuda13]' in a new environment), or use device='cpu' or model='xgboost'."
        )


PAPER = {
    "softmax_rule": "tf", "by_expression": False, "explained_cells": "test", "group_lasso": 0.0,
    "learning_rate": 1e-3, "tol": 0.0,
}  # fmt: skip
SEARCH = {
    "n_layers": Range(1, 3, Shape.n_layers),
    "n_hidden": Range(16, 256, Shape.n_hidden, log=True),
    "dropout_rate": Range(0.0, 0.5, Shape.dropout_rate),
    "learning_rate": Range(3e-4, 1e-2, Training.learning_rate, log=True),
    "group_lasso": Range(0.01, 1.0, GROUP_LASSO, log=True),
}
NETWORK = ModelInfo(Network, facts, paper=PAPER, search=SEARCH)
