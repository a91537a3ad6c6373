"""The group lasso on the first layer of the network: its proximal step, what it leaves, and for which modules it is."""

from __future__ import annotations

import warnings
from math import inf, nan, sqrt

import numpy as np
import pytest
from cases.models import fitted

from smash_gpu import models

torch = pytest.importorskip("torch")

from smash_gpu.models import torch_training  # noqa: E402
from smash_gpu.models.network import GROUP_LASSO, Network, Training  # noqa: E402
from smash_gpu.models.training_step import GroupLasso  # noqa: E402


def first_weights(model):
    return next(model.network.parameters()).detach().numpy()


def test_the_proximal_step_is_a_plain_loop_over_genes(rng):
    weight = rng.normal(size=(4, 30)).astype(np.float32) * np.geomspace(1e-3, 1, 30, dtype=np.float32)
    weight[:, 3] = 0
    dense = torch.nn.Linear(30, 4)
    with torch.no_grad():
        dense.weight.copy_(torch.as_tensor(weight))
    GroupLasso(dense.weight, 2.0).step(learning_rate=0.05)
    expected = np.zeros((4, 30))
    for gene in range(30):
        length = sqrt(sum(float(w) ** 2 for w in weight[:, gene]))
        if length > 0.05 * 2:
            expected[:, gene] = weight[:, gene] * (1 - 0.05 * 2 / length)
    found = dense.weight.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(found == 0, expected == 0)
    assert 3 < (found == 0).all(axis=0).sum() < 27


def test_it_is_the_proximal_operator_of_the_sum_of_lengths(rng):
    """No other matrix has a smaller ½ ‖V − W‖² + t Σ_g ‖V[:, g]‖."""
    start = torch.as_tensor(rng.normal(size=(3, 8)))
    found = start.clone()
    GroupLasso(found, 1.5).step(1.0)

    def objective(V):
        return float(0.5 * ((V - start) ** 2).sum() + 1.5 * torch.linalg.vector_norm(V, dim=0).sum())

    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(50):
            other = found + size * torch.as_tensor(rng.normal(size=(3, 8)))
            assert objective(other) > objective(found)


@pytest.mark.parametrize("almost", [0.0, 1e-30])
def test_without_a_penalty_training_is_as_before(cells, monkeypatch, almost):
    """Bit by bit: with 0 there is no proximal step, and one of almost 0 changes no bit."""
    with monkeypatch.context() as patched:
        patched.setattr(GroupLasso, "of", lambda *_: None)
        plain = fitted("dnn", cells)
    found = fitted("dnn", cells, group_lasso=almost)
    for name, value in plain.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name


@pytest.mark.slow
def test_a_larger_penalty_leaves_fewer_genes(cells):
    X, group, split = cells
    rng = np.random.default_rng(1)
    X = np.hstack([X, rng.gamma(1.0, 1.0, (len(X), 100)).astype(np.float32)])
    kept = []
    for penalty in (0.0, 1.0, 1.5, 2.0):
        model = fitted("dnn", (X, group, split), group_lasso=penalty)
        kept.append(np.flatnonzero(first_weights(model).any(axis=0)))
        assert (model.importance(X, group, split)[:, ~first_weights(model).any(axis=0)] == 0).all()
    sizes = [len(genes) for genes in kept]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[0] > sizes[-1] > 0) == (120, True)
    assert {0, 1, 2} <= set(kept[-1].tolist())


@pytest.mark.parametrize("penalty", [-0.1, -inf, inf, nan])
def test_a_penalty_that_is_none_is_refused(penalty):
    with pytest.raises(ValueError, match=r"group_lasso=\S+ must be at least 0"):
        Network(group_lasso=penalty)


def test_a_penalty_that_takes_all_weights_is_a_warning(cells):
    """Weights that Adam can move by 0.01 a step, and that lose 1 a step."""
    with pytest.warns(UserWarning, match="group_lasso=100 leaves no gene any weight.*smaller"):
        model = fitted("dnn", cells, group_lasso=100)
    assert (model.importance(*cells) == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted("dnn", cells)


def test_a_module_of_ones_own_has_no_penalty_unless_asked(cells):
    X, group, split = cells
    how = {"training": Training(batch_size=20, learning_rate=1e-2), "by_expression": False}
    default, asked, without = (
        first_weights(Network(module=torch_training.perceptron, **how, **penalty).fit(X, group, split))
        for penalty in ({}, {"group_lasso": GROUP_LASSO}, {"group_lasso": 0})
    )
    np.testing.assert_array_equal(default, without)
    built_in = Network(**how).fit(X, group, split)
    np.testing.assert_array_equal(asked, first_weights(built_in))
    assert (default != asked).any()


@pytest.mark.parametrize(
    "module",
    [torch.nn.Sequential(torch.nn.Unflatten(1, (1, 20)), torch.nn.Conv1d(1, 1, 18), torch.nn.Flatten()),
     torch.nn.Sequential(torch.nn.AvgPool1d(2), torch.nn.Linear(10, 3))],
    ids=["no dense layer", "a dense layer of something else"],
)  # fmt: skip
def test_a_module_without_a_dense_layer_of_all_genes_is_refused_a_penalty(cells, module):
    with pytest.raises(ValueError, match=r"first torch\.nn\.Linear takes all 20 genes.*group_lasso=0"):
        Network(module=module, group_lasso=0.3).fit(*cells)
    Network(module=module, training=Training(max_epochs=1)).fit(*cells)


def test_the_paper_has_no_penalty():
    assert models.build("dnn", random_state=0, **models.MODELS["dnn"].paper).group_lasso == 0
    assert models.build("dnn", random_state=0).group_lasso == GROUP_LASSO
