"""The network: the paper's settings, early stopping, and torch modules of users."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from cases.models import explained_by, fitted

from smash_gpu import models
from smash_gpu.runtime.spill import Scratch


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
    paper = models.build("dnn", random_state=0, **models.MODELS["dnn"].paper).training
    assert paper == Training(max_epochs=100, patience=5, tol=0.0, learning_rate=1e-3, batch_size=None)
    assert [Training().cells_per_batch(n) for n in (1000, 20_000, 200_000, 10_000_000)] == [100, 100, 1000, 8192]


def test_every_further_layer_has_half_the_units_and_the_dropout():
    torch = pytest.importorskip("torch")
    from smash_gpu.models.perceptron_shape import Shape
    from smash_gpu.models.torch_training import perceptron

    layers = list(perceptron(50, 7, Shape(n_layers=3, n_hidden=41, dropout_rate=0.4)))
    assert [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)] == [41, 20, 10, 7]
    assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.4, 0.2, 0.1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layers": 0}, "n_layers=0 must be at least 1"),
        ({"n_layers": 7}, "n_hidden=32 .*last of 7 layers"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0 must be at least 0 and below 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"tol": -0.1}, "tol=-0.1 must be at least 0"),
        ({"tol": "x"}, "tol='x' must be a number"),
        ({"patience": 0}, "patience=0 must be at least 1"),
        ({"max_epochs": 2.5}, "max_epochs=2.5 must be a whole number"),
        ({"batch_size": 1}, "batch_size=1 must be at least 2"),
    ],
)
def test_an_impossible_network_is_refused(options, message):
    from smash_gpu.models.network import Network

    with pytest.raises((ValueError, TypeError), match=message):
        Network(**options)


@pytest.mark.parametrize(
    "alone", [{"learning_rate": 0.02}, {"max_epochs": 7}, {"patience": 9}, {"tol": 0.0}, {"batch_size": 50}]
)
def test_one_setting_of_the_training_leaves_the_others(alone):
    from smash_gpu.models.network import Network, Training

    training = Network(**alone, training=Training(patience=3, learning_rate=0.5)).training
    assert training == Training(**{"patience": 3, "learning_rate": 0.5} | alone)


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


@pytest.mark.parametrize(("tol", "epochs"), [(0.0, 6), (0.1, 4)])
def test_only_falls_by_more_than_tol_count_and_the_best_epoch_is_kept(cells, monkeypatch, tol, epochs):
    pytest.importorskip("torch")
    from smash_gpu.models import network, torch_training

    losses, weights = iter([1.0, 0.8, 0.79, 0.78, 0.9, 0.9, 0.1]), []

    def given(net, _):
        weights.append(float(net[0].weight.detach().sum()))
        return next(losses)

    monkeypatch.setattr(torch_training, "held_out_loss", given)
    model = fitted("dnn", cells, training=network.Training(patience=2, tol=tol))
    assert len(weights) == epochs
    assert float(model.network[0].weight.detach().sum()) == weights[3]


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
def test_torch_is_imported_when_training_starts():
    code = (
        "import sys, numpy as np, smash_gpu as smg; from smash_gpu.data.splits import Split\n"
        "smg.paper('dnn'); smg.models.Network(module=lambda *_: 1, softmax_rule='torch', group_lasso=0.1)\n"
        "model, group, X = smg.models.Network(), np.tile([0, 1], 4), np.random.rand(8, 3).astype('float32')\n"
        "print('torch' in sys.modules); model.fit(X, group, Split(np.arange(4), np.arange(4, 8)))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("which", ["train", "test"])
@pytest.mark.parametrize(("most", "drawn"), [(15, (5, 5, 5)), (60, (26, 25, 9)), (500, (72, 32, 9))])
def test_explained_cells_are_balanced_and_no_more_than_asked(cells, monkeypatch, which, most, drawn):
    """Training cells by default, held-out cells as in the paper; groups that have fewer cells give all they have."""
    X, group, split = cells
    how = {} if which == "train" else {"explained_cells": "test"}
    model = fitted("dnn", cells, max_explained=most, training=None, **how)
    explained = explained_by(model, cells, monkeypatch)
    pool = getattr(split, which)
    assert set(explained) <= set(pool)
    assert len(explained) == len(set(explained)) == min(most, len(pool))
    found, there = (np.bincount(group[some], minlength=3) for some in (explained, pool))
    assert all(a == b or b == max(found) or b == max(found) - 1 for a, b in zip(there, found, strict=True))
    if which == "train":
        assert found.tolist() == list(drawn)


@pytest.mark.slow
def test_cells_in_a_file_are_explained_like_those_in_memory(cells, monkeypatch):
    X, group, split = cells
    in_memory, in_file = (fitted("dnn", cells, training=None) for _ in range(2))
    with Scratch(X.shape) as file:
        file[:] = X
        found = explained_by(in_file, (file, group, split), monkeypatch)
    assert found == explained_by(in_memory, cells, monkeypatch)


@pytest.mark.slow
def test_what_is_explained_anew_is_not_what_was_kept(cells):
    """Explained once for both importances, and again with another rule, other cells, or another training."""
    X, group, split = cells
    model = fitted("dnn", cells, training=None, by_expression=False)
    scores = [model.importance(*cells)]
    np.testing.assert_array_equal(model.global_importance(*cells), scores[0].mean(axis=0))
    model.softmax_rule = "tf"
    scores.append(model.importance(*cells))
    model.explained_cells = "test"
    scores.append(model.importance(*cells))
    model.group_lasso = 0.0
    scores.append(model.fit(*cells).importance(*cells))
    assert all((one != other).any() for one, other in combinations(scores, 2))


def test_explained_cells_of_neither_kind_are_refused():
    with pytest.raises(ValueError, match="explained_cells='tests' .*Did you mean 'test'"):
        fitted("dnn", None, explained_cells="tests")


@pytest.mark.slow
def test_the_papers_network_given_as_ones_own_gets_the_same_scores(cells):
    pytest.importorskip("torch")
    from smash_gpu.models.network import Network
    from smash_gpu.models.torch_training import perceptron

    settings = {"softmax_rule": "torch", "max_explained": 15, "max_background": 40, "group_lasso": 0.3}
    settings["explained_cells"] = "test"  # of training cells the network is so sure that shap's float32 loses digits
    X, group, split = cells
    built_in, own = (Network(module=m, **settings).fit(X, group, split) for m in (None, perceptron))
    expected = own.importance(X, group, split)
    np.testing.assert_allclose(built_in.importance(X, group, split), expected, atol=1e-4 * expected.max())
