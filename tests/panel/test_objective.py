"""The objective of a panel and its greedy maximisation, against plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.panel import objective as blocks
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.profiles import Profiles
from smash_gpu.panel.runs import nested_tau


def made_up(seed, n_classes=4, n_genes=10, tau=2.0):
    """An objective over random profiles and weights."""
    rng = np.random.default_rng(seed)
    mean = rng.gamma(0.5, 1.0, (n_classes, n_genes))
    first, second = np.triu_indices(n_classes, 1)
    weight = rng.uniform(0.1, 1, len(first))
    return Objective(
        Profiles(mean, mean * rng.uniform(0.2, 1.5, mean.shape)), first, second, weight / weight.sum(), tau
    )


def names_of(n):
    return np.array([f"G{i:03d}" for i in range(n)], dtype=object)


def formula(objective, genes):
    """F by a plain loop over pairs and genes."""
    total = 0.0
    for a, b, w in zip(objective.first, objective.second, objective.weight, strict=True):
        mean, variance = objective.profiles.mean, objective.profiles.variance
        depth = sum((mean[a, g] - mean[b, g]) ** 2 / (variance[a, g] + variance[b, g] + 0.05) for g in genes)
        total += w * (1 - np.exp(-depth / objective.tau))
    return total


def dense_greedy(data, n_genes, tau):
    """All gains at every step, from the formula."""
    n = data.stats.cells[:, None]
    mean = data.stats.total / n
    variance = data.stats.square / n - mean**2
    a, b = np.triu_indices(data.n_groups, 1)
    s = (mean[a] - mean[b]) ** 2 / (variance[a] + variance[b] + 0.05)
    depth, chosen = np.zeros(len(a)), []
    by_name = np.argsort(data.names)
    for _ in range(n_genes):
        gain = np.exp(-depth / tau) @ (1 - np.exp(-s / tau))
        chosen.append(next(g for g in by_name[np.argsort(-gain[by_name], kind="stable")] if g not in chosen))
        depth += s[:, chosen[-1]]
    return chosen


@pytest.mark.parametrize("n_genes", [1, 5, 20, 60])
def test_the_lazy_choice_is_the_greedy_choice(data, n_genes):
    chosen = panel.choose(n_genes)(data).tolist()
    assert chosen[:40] == dense_greedy(data, n_genes, max(2, 0.3 * n_genes))[:40]
    assert len(set(chosen)) == n_genes


def test_blocks_and_threads_change_nothing(data, monkeypatch):
    whole = panel.choose(20)(data).tolist()
    monkeypatch.setattr(blocks, "GENES_PER_BLOCK", {"cpu": 7})
    monkeypatch.setattr(blocks, "ELEMENTS_PER_BLOCK", {"cpu": 14})
    monkeypatch.setattr(blocks, "PAIRS_PER_TASK", 1)
    assert panel.choose(20)(data).tolist() == whole


@given(seed=st.integers(0, 10_000), genes=st.lists(st.integers(0, 9), unique=True, min_size=1))
@settings(max_examples=40)
def test_f_is_the_formula_monotone_and_submodular(seed, genes):
    objective = made_up(seed)
    *larger, gene = genes
    smaller = larger[: len(larger) // 2]
    value = {len(s): objective.value(objective.depth(s)) for s in (genes, larger, smaller)}
    assert np.isclose(value[len(genes)], formula(objective, genes))
    gain_of_larger = objective.gains(objective.depth(larger), [gene])[0]
    gain_of_smaller = objective.gains(objective.depth(smaller), [gene])[0]
    assert np.isclose(value[len(genes)] - value[len(larger)], gain_of_larger)
    assert 0 <= gain_of_larger <= gain_of_smaller + 1e-12


@given(seed=st.integers(0, 10_000), n=st.integers(1, 4))
@settings(max_examples=25)
def test_greedy_and_bound_enclose_the_optimum(seed, n):
    objective = made_up(seed)
    gains = Gains(objective, names_of(10))
    free = np.ones(10, dtype=bool)
    for _ in range(n):
        gene = gains.best(free)
        free[gene] = False
        gains.take(gene)
    greedy = objective.value(gains.depth)
    best = max(objective.value(objective.depth(s)) for s in combinations(range(10), n))
    assert (1 - 1 / np.e) * best <= greedy <= best + 1e-12
    assert greedy + gains.largest(free, n).sum() >= best - 1e-12
    assert greedy + gains.bound_on(free, n) >= best - 1e-12


@pytest.mark.parametrize("tau", [2.0, 300.0, 1e5])
def test_the_first_look_in_single_precision_is_a_bound(rng, tau):
    mean = rng.uniform(3, 9, (6, 1)) + rng.normal(0, 1e-3, (6, 200)) * rng.integers(0, 1000, 200)
    first, second = np.triu_indices(6, 1)
    objective = Objective(Profiles(mean, 0.1 * mean), first, second, np.full(15, 1 / 15), tau)
    assert (Gains(objective, names_of(200)).upper >= objective.gains(objective.depth())).all()


def test_order_of_cells_and_genes_does_not_matter(adata, rng):
    expected = adata.var_names[panel.choose(15)(read(adata, {"groupby": "cell_type"}))]
    shuffled = adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()
    found = shuffled.var_names[panel.choose(15)(read(shuffled, {"groupby": "cell_type"}))]
    assert list(found) == list(expected)


def test_equal_genes_go_by_name(data):
    def first(matrix, names):  # target_sum=None: a second copy of a gene changes no other value
        return panel.choose(1)(Dataset(matrix, data.group, data.groups, names, names, target_sum=None))[0]

    logged = data.matrix.log1p()
    best = first(logged, data.names)
    twice = sparse.hstack([logged, logged[:, [best]]]).tocsr()
    assert first(twice, np.array([*data.names, "AAA"], dtype=object)) == len(data.names)
    assert first(twice, np.array([*data.names, "ZZZ"], dtype=object)) == best


def test_every_container_gives_the_same_panel(adata, hold):
    data = read(adata, {"groupby": "cell_type"})
    held = Dataset(hold(adata.X), data.group, data.groups, data.names, data.symbols, device=hold.device)
    assert panel.choose(12)(held).tolist() == panel.choose(12)(data).tolist()


@pytest.mark.gpu
def test_a_gpu_gives_the_same_panel(adata):
    cpu, gpu = (read(adata, {"groupby": "cell_type", "device": device}) for device in ("cpu", "cuda"))
    assert panel.choose(20)(gpu).tolist() == panel.choose(20)(cpu).tolist()


def test_a_shorter_nested_list_is_a_prefix(data):
    longest = panel.choose(40, nested=True)(data).tolist()
    for n in (1, 2, 3, 8, 9, 17, 33):
        assert panel.choose(n, nested=True)(data).tolist() == longest[:n]


def test_a_nested_prefix_is_as_good_as_a_panel_of_its_size(shared):
    data = read(shared("paul15"), {"groupby": "cell_subtype"})
    request = panel.Request(n_genes=16)
    one = panel.design(panel.prepare(data, [panel.Level("x", data.group, data.groups)], request))
    prefix = panel.choose(64, nested=True)(data)[:16]
    assert one.objective.value(one.objective.depth(prefix)) > 0.97 * one.value[-1]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100, 300])
def test_tau_of_a_nested_list_is_near_that_of_its_size(size):
    assert tau_for(size) <= nested_tau(size) <= max(2, 2 * tau_for(size))


def test_planted_markers_come_first(rng):
    data = read(planted(rng), {"groupby": "cell_type"})
    assert all(name.startswith("MARKER") for name in data.names[panel.choose(6)(data)])


def test_value_with_all_genes_is_the_formula():
    objective = made_up(3, n_genes=300, tau=40.0)
    assert np.isclose(objective.value_of_all(), formula(objective, range(300)))
