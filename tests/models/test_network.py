"""The network: the paper's settings, early stopping, and torch modules of users."""

from __future__ import annotations

import numpy as np
import pytest
from cases.models import fitted


def test_the_network_is_the_papers():
    torch = pytest.importorskip("torch")
    from smash_gpu.models.network import Training
    from smash_gpu.models.torch_training import perceptron

    layers = list(perceptron(50, 7))
    assert [type(layer).__name__ for layer in layers] == [
        *("Linear", "BatchNorm1d", "Sigmoid", "Dropout") * 2,
        "Linear",
    ]
    assert [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)] == [32, 16, 7]
    assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.2, 0.1]
    assert (Training().max_epochs, Training().patience, Training().learning_rate) == (100, 5, 1e-3)
    assert [Training().cells_per_batch(n) for n in (1000, 20_000, 200_000, 10_000_000)] == [100, 100, 1000, 8192]


def test_the_network_returns_to_its_best_epoch(cells):
    torch = pytest.importorskip("torch")
    from smash_gpu.models import network, torch_training

    X, group, split = cells
    losses = []
    original = torch_training.held_out_loss

    def spy(*arguments):
        losses.append(original(*arguments))
        return losses[-1]

    torch_training.held_out_loss = spy
    try:
        model = fitted("dnn", cells, training=network.Training(max_epochs=60, learning_rate=0.1))
    finally:
        torch_training.held_out_loss = original
    x, y = model._z(X[split.test]), torch.as_tensor(group[split.test])
    assert original(model.network, [(x, y)]) == pytest.approx(min(losses), rel=1e-6)
    assert len(losses) < 60


def test_a_torch_module_of_ones_own_is_explained_by_shap(cells):
    torch = pytest.importorskip("torch")
    from smash_gpu.models.network import Network

    def module(n_genes, n_groups):
        return torch.nn.Sequential(torch.nn.Linear(n_genes, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_groups))

    X, group, split = cells
    model = Network(module=module, max_explained=12, max_background=30).fit(X, group, split)
    scores = model.importance(X, group, split)
    assert scores.shape == (3, 20)
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_module_may_have_parameters_that_it_does_not_use(cells):
    torch = pytest.importorskip("torch")
    from smash_gpu.models.network import Network, Training

    class WithSpare(torch.nn.Module):
        def __init__(self, n_genes, n_groups):
            super().__init__()
            self.used, self.spare = torch.nn.Linear(n_genes, n_groups), torch.nn.Linear(2, 2)
            self.before = self.spare.weight.detach().clone()

        def forward(self, x):
            return self.used(x)

    X, group, split = cells
    model = Network(module=WithSpare, training=Training(max_epochs=60, learning_rate=0.1)).fit(X, group, split)
    assert (model.predict(X[split.test]) == group[split.test]).mean() > 0.9
    assert torch.equal(model.network.spare.weight, model.network.before)


def test_a_slice_of_blocks_is_not_loaded_before_its_blocks_are():
    pytest.importorskip("torch")
    from smash_gpu.models.torch_training import Blocks

    loaded = []
    part = Blocks(loaded.append, [np.array([0, 1]), np.array([2]), np.array([3, 4])])[1:]
    assert (len(part), loaded) == (2, [])
    list(part)
    assert [rows.tolist() for rows in loaded] == [[2], [3, 4]]


@pytest.mark.slow
def test_the_papers_network_given_as_ones_own_gets_the_same_scores(cells):
    pytest.importorskip("torch")
    from smash_gpu.models.network import Network
    from smash_gpu.models.torch_training import perceptron

    settings = {"softmax_rule": "torch", "max_explained": 15, "max_background": 40}
    X, group, split = cells
    built_in, own = (Network(module=m, **settings).fit(X, group, split) for m in (None, perceptron))
    expected = own.importance(X, group, split)
    np.testing.assert_allclose(built_in.importance(X, group, split), expected, atol=1e-4 * expected.max())
