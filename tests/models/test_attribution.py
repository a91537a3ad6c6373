"""Attributions against shap, against a plain loop, and by their additivity."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu.compute.xp import place
from smash_gpu.models.attribution import by_expression, treeshap

torch = pytest.importorskip("torch")
deeplift = pytest.importorskip("smash_gpu.models.attribution.deeplift")


N_GENES, N_GROUPS = 120, 6


@pytest.fixture(scope="module")
def problem():
    """A trained network of the paper's shape with cells to explain and background cells."""
    from smash_gpu.models.class_weights import class_weights
    from smash_gpu.models.network import Training
    from smash_gpu.models.torch_training import as_floats, learn, perceptron, seeded

    with seeded(1, torch.device("cpu")):
        x = torch.randn(600, N_GENES)
        y = (x @ torch.randn(N_GENES, N_GROUPS)).argmax(dim=1)
        network = perceptron(N_GENES, N_GROUPS)
        training = Training(max_epochs=40, learning_rate=1e-2, batch_size=100)
        weights = as_floats(class_weights(y[:500].numpy()), "cpu")
        learn(network, [(x[:500], y[:500])], [(x[500:], y[500:])], weights, **vars(training))
    return network.eval(), x[500:520], x[:50]


def attributions(network, x, background, rule, **options):
    layers = deeplift.Layers.of(network)
    return torch.cat(list(deeplift.contributions(layers, x, background, rule, **options))).double().numpy()


def probabilities(network, x):
    with torch.inference_mode():
        return network.double()(x.double()).softmax(dim=1).numpy()


@pytest.mark.slow
def test_torch_rule_equals_shap_deep_explainer(problem):
    import copy

    import shap

    network, x, background = problem
    module = torch.nn.Sequential(copy.deepcopy(network), torch.nn.Softmax(dim=-1)).double()
    expected = shap.DeepExplainer(module, background.double()).shap_values(x.double())
    expected = np.asarray(expected).transpose(0, 2, 1)
    found = attributions(network, x, background, "torch")
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_networks_of_any_depth_are_explained_as_by_shap(n_layers):
    import shap

    from smash_gpu.models.perceptron_shape import Shape
    from smash_gpu.models.torch_training import perceptron, seeded

    with seeded(n_layers, "cpu"):
        network, x, background = perceptron(30, 5, Shape(n_layers, 24)).eval(), torch.randn(7, 30), torch.randn(9, 30)
    found = attributions(network, x, background, "torch")
    module = torch.nn.Sequential(network, torch.nn.Softmax(dim=-1)).double()
    expected = shap.DeepExplainer(module, background.double()).shap_values(x.double()).transpose(0, 2, 1)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    of_keras = attributions(network, x, background, "tf")
    change = probabilities(network, x) - probabilities(network, background).mean(axis=0)
    assert np.abs(of_keras.sum(axis=2) - change).max() <= 1e-4 * np.abs(of_keras).max()


@pytest.mark.parametrize("rule", deeplift.SOFTMAX_RULES)
def test_both_rules_are_additive(problem, rule):
    network, x, background = problem
    found = attributions(network, x, background, rule)
    change = probabilities(network, x) - probabilities(network, background).mean(axis=0)
    assert np.abs(found.sum(axis=2) - change).max() <= 1e-5 * np.abs(found).max()


def test_the_two_rules_differ(problem):
    network, x, background = problem
    of_torch, of_tf = (np.abs(attributions(network, x, background, rule)).mean(axis=0) for rule in ("torch", "tf"))
    assert np.corrcoef(of_torch.ravel(), of_tf.ravel())[0, 1] < 0.99


def test_keras_rule_equals_the_formula_in_a_plain_loop(problem):
    network, x, background = problem
    layers = deeplift.Layers.of(network)
    found = attributions(network, x[:2], background[:3], "tf")
    for i in range(2):
        by_background = [keras_by_hand(layers, x[i : i + 1], background[j : j + 1]) for j in range(3)]
        expected = np.mean(by_background, axis=0)
        assert np.abs(found[i] - expected).max() <= 1e-5 * np.abs(expected).max()


def keras_by_hand(layers, x, r):
    """Multipliers of one cell and one background cell, layer by layer with scalar loops; groups × genes."""
    (x1, x2, x3), (r1, r2, r3) = ([z[0].numpy() for z in layers.forward(v)] for v in (x, r))
    w1, w2, w3 = (w.numpy() for w in layers.weights)
    slope = [(1 / (1 + np.exp(-a)) - 1 / (1 + np.exp(-b))) / (a - b) for a, b in ((x1, r1), (x2, r2))]
    ux, ur = x3 - x3.max(), r3 - r3.max()
    ex, er = np.exp(ux), np.exp(ur)
    sx, sr = ex.sum(), er.sum()
    phi = np.zeros((len(x3), w1.shape[1]))
    for c in range(len(x3)):
        own = 0.5 * (ex[c] / sx - er[c] / sx + ex[c] / sr - er[c] / sr) / (ex[c] - er[c])
        whole = 0.5 * (ex[c] / sx - ex[c] / sr + er[c] / sx - er[c] / sr) / (sx - sr)
        for k in range(len(x3)):
            through = (own * (c == k) + whole) * (ex[k] - er[k])
            if abs(ux[k] - ur[k]) < 1e-6:
                continue
            through /= x3[k] - r3[k]
            phi[c] += through * ((w3[k] * slope[1]) @ w2 * slope[0]) @ w1
    return phi * (x - r).numpy()[0]


def test_cells_explained_in_parts_are_the_same(problem):
    network, x, background = problem
    layers = deeplift.Layers.of(network)
    whole, parts = (
        deeplift.mean_abs(deeplift.contributions(layers, x, background, "tf", bytes_at_once=size), len(x))
        for size in (2**40, 1)
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-7)


def test_parts_stay_within_the_stated_bytes(problem):
    network, x, background = problem
    size = 3 * N_GROUPS * (12 * 32 * len(background) + 8 * N_GENES)
    sizes = [
        len(p) for p in deeplift.contributions(deeplift.Layers.of(network), x, background, "tf", bytes_at_once=size)
    ]
    assert max(sizes) == 3


def test_a_cell_equal_to_its_background_is_not_explained_by_anything(problem):
    network, x, _ = problem
    for rule in deeplift.SOFTMAX_RULES:
        np.testing.assert_allclose(attributions(network, x[:1], x[:1], rule), 0, atol=1e-7)


@pytest.fixture(scope="module")
def boosted():
    from smash_gpu.data.splits import stratified
    from smash_gpu.models.boosted import Boosted

    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 150)
    X = rng.poisson(1 + 4 * (np.arange(8) == group[:, None])).astype(np.float32)
    split = stratified(group)
    return Boosted(n_estimators=20, max_depth=4, importance="shap").fit(X, group, split), X, group, split


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_tree_shap_is_additive(boosted, device):
    from xgboost import DMatrix

    model, X, *_ = boosted
    booster = model.booster.copy()
    booster.set_param({"device": device})
    phi = np.concatenate(list(treeshap.contributions(booster, place(X, device), 3)))
    margin = booster.predict(DMatrix(X), output_margin=True)
    np.testing.assert_allclose(phi.sum(axis=2), margin, atol=1e-5)


def test_tree_shap_in_batches_is_the_mean_over_cells(boosted, monkeypatch):
    model, X, *_ = boosted
    whole = np.concatenate(list(treeshap.contributions(model.booster, X, 3)))
    monkeypatch.setattr(treeshap, "BYTES_PER_BATCH", 4 * 3 * 9 * 7)
    batches = [len(b) for b in treeshap.contributions(model.booster, X, 3)]
    assert max(batches) == 7
    np.testing.assert_allclose(treeshap.mean_abs(model.booster, X, 3), np.abs(whole[:, :, :-1]).mean(axis=0), rtol=1e-6)


def test_tree_shap_finds_the_gene_of_each_group(boosted):
    model, X, group, split = boosted
    assert model.importance(X, group, split).argmax(axis=1).tolist() == [0, 1, 2]


def test_gini_by_group_is_importance_times_the_class_mean_of_z(rng):
    X = rng.gamma(0.5, 2, size=(90, 5)).astype(np.float32)
    group, importance = rng.integers(0, 3, 90), rng.random(5)
    found = by_expression.weigh_by_expression(importance, X, group, 3)
    for c in range(3):
        for g in range(5):
            z = np.minimum((X[:, g] - X[:, g].mean(dtype=float)) / X[:, g].std(ddof=1, dtype=float), 10)
            assert found[c, g] == pytest.approx(importance[g] * z[group == c].mean(), rel=1e-4, abs=1e-6)


def test_separation_from_every_other_group_is_the_plain_loop_in_parts_and_of_the_named_cells(rng, monkeypatch):
    monkeypatch.setattr("smash_gpu.data.standardize.CELLS_PER_PRODUCT", 7)
    X, group = rng.gamma(1.0, size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    cells = rng.permutation(40)[:30]
    found = by_expression.weigh_by_expression(np.arange(5.0), X, group, 3, by="separation", cells=cells)
    of = [X[cells][group[cells] == c].astype(float) for c in range(3)]
    for c in range(3):
        for g in range(5):
            score = 0.0
            for b in {0, 1, 2} - {c}:
                difference = of[c][:, g].mean() - of[b][:, g].mean()
                s = difference**2 / (of[c][:, g].var() + of[b][:, g].var() + 0.05)
                score += np.sign(difference) * (1 - np.exp(-s / 2))
            assert found[c, g] == pytest.approx(g * score)
