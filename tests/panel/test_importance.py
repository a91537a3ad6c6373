"""Weights of genes from their importance: the formula, what they do to a panel, and what they leave alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases.panels import designed, names

from smash_gpu import panel
from smash_gpu.panel.importance import LEAST, weights
from smash_gpu.panel.problem import prepare
from smash_gpu.panel.request import ORDINARY, OUT, SPARE
from smash_gpu.panel.tables import tables

NAN = np.nan


def weighted(data, importance, **options):
    levels = [panel.Level("cell_type", data.group, data.groups)]
    return panel.design(prepare(data, levels, panel.Request.of(options), importance=importance))


def separations(data):
    mean, variance = data.stats.mean, data.stats.variance
    first, second = np.triu_indices(data.n_groups, 1)
    return (mean[first] - mean[second]) ** 2 / (variance[first] + variance[second] + 0.05)


@pytest.fixture
def importance(data):
    return np.random.default_rng(1).gamma(0.5, size=len(data.names))


def test_weights_are_shares_of_the_mean_of_the_100_largest_at_most_1():
    importance = np.arange(1.0, 201.0)
    mean = np.mean([importance[g] for g in range(100, 200)])
    assert weights(importance) == pytest.approx([min(1, i / mean) for i in importance])


def test_of_fewer_genes_the_mean_is_of_all_and_no_scale_matters():
    importance = np.array([4.0, 1.0, 0.5, 0.0, NAN])
    assert weights(importance) == pytest.approx([1, 1 / 1.375, 0.5 / 1.375, LEAST, 0])
    assert weights(1000 * importance) == pytest.approx(weights(importance))


def test_a_model_that_uses_no_gene_weighs_all_candidates_alike():
    assert weights(np.array([0.0, 0.0, NAN])).tolist() == [1, 1, 0]


def test_equal_importance_gives_the_panel_without_weights(data):
    plain, same = designed(data, n_genes=9), weighted(data, np.full(len(data.names), 3.0), n_genes=9)
    assert names(same) == names(plain)
    np.testing.assert_array_equal(same.value, plain.value)


def test_other_importances_give_another_panel(data, importance):
    shuffled = np.random.default_rng(2).permutation(importance)
    assert names(weighted(data, importance, n_genes=6)) != names(weighted(data, shuffled, n_genes=6))


def test_value_and_bound_are_those_of_the_weighted_formula_and_no_panel_is_above_the_bound(data, importance):
    found = weighted(data, importance, n_genes=3, exclude_families=())
    s, tau = separations(data) * weights(importance), found.objective.tau

    def value(genes):
        return np.mean(1 - np.exp(-s[:, list(genes)].sum(axis=1) / tau))

    assert found.value[-1] == pytest.approx(value(found.panel))
    best = max(value(genes) for genes in combinations(range(len(data.names)), 3))
    assert (1 - 1 / np.e) * best <= found.value[-1] <= best + 1e-12
    assert best <= found.bound[-1] + 1e-12


def test_genes_that_were_no_candidates_are_not_chosen_and_the_table_of_rules_counts_them(data, importance):
    importance[[3, 5, 7]] = NAN
    found = weighted(data, importance, n_genes=len(data.names) - 3)
    assert not {3, 5, 7} & set(found.panel.tolist())
    rule = found.problem.found.ledger.set_index("rule").loc["no candidate of the model (weights)"]
    assert rule["removed"] == 3
    with pytest.raises(ValueError, match="no candidate of the model"):
        weighted(data, importance, n_genes=len(data.names) - 2)


def test_genes_that_are_in_anyway_separate_as_without_weights_if_the_model_does_not_know_them(data, importance):
    for option in ("include", "extend"):
        known, unknown = importance.copy(), importance.copy()
        unknown[0], known[0] = NAN, 1e9
        found = [weighted(data, one, n_genes=4, **{option: [data.names[0]]}) for one in (known, unknown)]
        assert found[1].objective.profiles.weight[0, 0] == 1
        assert (option == "extend") == (0 not in found[1].panel)


def test_markers_promised_to_a_class_do_not_depend_on_weights(data, importance):
    plain, by_weight = designed(data, n_genes=9, min_markers=2), weighted(data, importance, n_genes=9, min_markers=2)
    np.testing.assert_array_equal(by_weight.problem.markers, plain.problem.markers)
    rows = ["class", "asked", "in_data"]
    assert tables(by_weight)["certificate"][rows].equals(tables(plain)["certificate"][rows])


def test_tables_say_the_resolution_without_weights_too(data, importance):
    found = weighted(data, importance, n_genes=5)
    curve, s = tables(found)["curve"], separations(data)
    resolved = [np.mean(1 - np.exp(-s[:, found.panel[:n]].sum(axis=1) / found.objective.tau)) for n in range(6)]
    every = np.mean(1 - np.exp(-s.sum(axis=1) / found.objective.tau))
    assert curve["unweighted_resolution"].to_numpy() == pytest.approx(np.array(resolved) / every)
    assert "unweighted_resolution" not in tables(designed(data, n_genes=5))["curve"]
    bounds = np.sort(0.5 * np.exp(-s[:, found.panel].sum(axis=1) / 4))
    assert np.sort(tables(found)["pairs"]["error_bound"]) == pytest.approx(bounds)


def known(data, importance, **options):
    shape = data.stats.mean.shape
    plain = {"may_be_high": np.ones(shape, dtype=bool), "tier": np.full(shape[1], ORDINARY), "nested": False}
    profiles = {"mean": data.stats.mean, "variance": data.stats.variance, "names": data.names}
    return panel.choose_known(**profiles | plain | {"n_genes": 8, "importance": importance} | options)


@pytest.mark.parametrize("nested", [False, True])
def test_a_panel_from_means_and_variances_is_that_from_the_cells(data, importance, nested):
    found = weighted(data, importance, n_genes=8, nested=nested, exclude_families=())
    assert known(data, importance, nested=nested).tolist() == found.panel.tolist()


def test_a_nested_panel_has_exactly_n_genes_and_every_prefix_is_the_shorter_one(data, importance):
    whole = known(data, importance, n_genes=len(data.names), nested=True)
    assert sorted(whole.tolist()) == list(range(len(data.names)))
    for n in (1, 7, 33):
        assert known(data, importance, n_genes=n, nested=True).tolist() == whole[:n].tolist()


def test_spare_genes_come_last_and_others_never(data, importance):
    tier = np.full(len(data.names), ORDINARY)
    tier[::2], tier[:6] = SPARE, OUT
    found = known(data, importance, n_genes=int((tier < OUT).sum()), tier=tier)
    assert (np.diff(tier[found]) >= 0).all()
    assert (tier[found] < OUT).all()


def test_a_gene_does_not_separate_a_class_in_which_it_may_not_be_high_from_lower_ones(data, importance):
    """Each of three markers of class 0 may be high nowhere but in 1: they separate nothing."""
    own = np.flatnonzero([name.startswith("MARKER0") for name in data.names])
    may_be_high = np.ones(data.stats.mean.shape, dtype=bool)
    may_be_high[0, own] = False
    first = known(data, np.ones(len(data.names)), n_genes=6)
    without = known(data, np.ones(len(data.names)), n_genes=6, may_be_high=may_be_high)
    assert set(own) & set(first)
    assert not set(own) & set(without)
