"""Genes that may fail, against the mean over all subsets of genes that fail."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from cases.panels import designed, names
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st

import smash_gpu as smg
from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.objective import Objective
from smash_gpu.panel.problem import prepare
from smash_gpu.panel.profiles import Profiles
from smash_gpu.panel.tables import tables

KEPT = [0, 1, 3, 4, 6, 7, 30, 31]


@pytest.fixture(scope="module")
def small():
    """Eight genes in three classes."""
    return planted(np.random.default_rng(7))[:, KEPT].copy()


def made_up(seed, rate, n_classes=4, tau=2.0):
    rng = np.random.default_rng(seed)
    mean = rng.gamma(0.5, 1.0, (n_classes, len(rate)))
    first, second = np.triu_indices(n_classes, 1)
    weight = rng.uniform(0.1, 1, len(first))
    profiles = Profiles(mean, mean * rng.uniform(0.2, 1.5, mean.shape), failure=np.array(rate)[None])
    return Objective(profiles, first, second, weight / weight.sum(), tau)


def mean_over_failures(objective, genes):
    """Mean of F without failures over all subsets of ``genes`` that work, by a plain loop."""
    sure = replace(objective, profiles=replace(objective.profiles, failure=None))
    rate, genes = objective.profiles.failure[0], list(genes)
    total = 0.0
    for works in product([False, True], repeat=len(genes)):
        chance = np.prod([1 - rate[g] if w else rate[g] for g, w in zip(genes, works, strict=True)])
        total += chance * sure.value(sure.depth([g for g, w in zip(genes, works, strict=True) if w]))
    return total


rates = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.99)), min_size=7, max_size=7)


@given(seed=st.integers(0, 10_000), rate=rates, genes=st.lists(st.integers(0, 6), unique=True, min_size=1))
@settings(max_examples=60)
def test_f_is_the_mean_over_all_ways_to_fail_and_stays_monotone_and_submodular(seed, rate, genes):
    objective = made_up(seed, rate)
    *larger, gene = genes
    smaller = larger[: len(larger) // 2]
    assert objective.value(objective.depth(genes)) == pytest.approx(mean_over_failures(objective, genes), abs=1e-12)
    gain_of_larger = objective.gains(objective.depth(larger), [gene])[0]
    change = mean_over_failures(objective, genes) - mean_over_failures(objective, larger)
    assert gain_of_larger == pytest.approx(change, abs=1e-12)
    assert 0 <= gain_of_larger <= objective.gains(objective.depth(smaller), [gene])[0] + 1e-12


@given(seed=st.integers(0, 10_000), rate=rates, n=st.integers(1, 4))
@settings(max_examples=25)
def test_greedy_and_bound_enclose_the_best_mean(seed, rate, n):
    objective = made_up(seed, rate)
    gains, free = Gains(objective, np.array(list("abcdefg"), dtype=object)), np.ones(7, dtype=bool)
    assert (gains.upper >= objective.gains(objective.depth()) - 1e-15).all()
    for _ in range(n):
        gene = gains.best(free)
        free[gene] = False
        gains.take(gene)
    best = max(mean_over_failures(objective, genes) for genes in combinations(range(7), n))
    greedy = objective.value(gains.depth)
    assert (1 - 1 / np.e) * best - 1e-12 <= greedy <= best + 1e-12
    assert greedy + gains.largest(free, n).sum() >= best - 1e-12


def test_value_with_all_genes_is_the_mean_too():
    objective = made_up(5, [0.1, 0.0, 0.3, 0.5, 0.9, 0.2, 0.7])
    assert objective.value_of_all() == pytest.approx(mean_over_failures(objective, range(7)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nested": True},
        {"variation": 0.3},
        {"max_transcripts": 9.0},
        {"max_transcripts": 6.0, "probe_sets": (1, 3)},
        {"max_transcripts": 6.0, "probe_sets": (1, 3), "nested": True},
        {"quotas": {"noise": (["NOISE30"], 1, None)}, "extend": ["MARKER1X"]},
        {"prior": 1.0, "include": ["NOISE31"], "min_markers": 1, "tau": 3.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("rate", [0.3, "rate"])
def test_every_step_is_the_mean_whatever_else_is_asked_for(small, options, rate):
    data = read(small, {"groupby": "cell_type"})
    table = pd.DataFrame({"rate": np.linspace(0, 0.6, len(data.names))}, index=data.names)
    found = designed(data, table, n_genes=3, exclude_families=(), failure_rate=rate, **options)
    assert len(set(found.panel.tolist())) == 3
    existing = found.problem.found.existing.tolist()
    for step in range(3):
        objective = found.objective.with_tau(found.tau[step])
        mean = mean_over_failures(objective, [*existing, *found.panel[: step + 1]])
        assert found.value[step] == pytest.approx(mean)


def test_in_a_small_problem_with_a_cap_the_panel_has_the_best_mean_that_fits(small):
    data = read(small, {"groupby": "cell_type"})
    counts = np.array([data.matrix.toarray()[data.group == c].mean(axis=0) for c in range(data.n_groups)])
    found = designed(data, n_genes=3, max_transcripts=9.0, exclude_families=(), failure_rate=0.4)
    fits = [g for g in combinations(range(len(data.names)), 3) if (counts[:, list(g)].sum(axis=1) <= 9).all()]
    assert found.value[-1] == pytest.approx(max(mean_over_failures(found.objective, genes) for genes in fits))


def test_weights_of_a_model_and_several_columns(small, rng):
    data = read(small, {"groupby": "cell_type"})
    halves = (np.arange(len(data.group)) % 2).astype(data.group.dtype)
    levels = [
        panel.Level("cell_type", data.group, data.groups, 2.0),
        panel.Level("half", halves, np.array(["one", "two"], dtype=object), 1.0),
    ]
    request = panel.Request.of({"n_genes": 3, "exclude_families": (), "failure_rate": 0.3})
    found = panel.design(prepare(data, levels, request, importance=rng.gamma(0.5, size=len(data.names))))
    assert found.is_weighted
    assert found.value[-1] == pytest.approx(mean_over_failures(found.objective, found.panel))


@pytest.mark.parametrize("options", [{}, {"nested": True}, {"max_transcripts": 12, "probe_sets": (1, 4)}])
def test_genes_that_never_fail_give_the_panel_without_the_option(adata, options):
    data = read(adata, {"groupby": "cell_type"})
    table = pd.DataFrame({"rate": 0.0}, index=data.names)
    plain = tables(designed(data, n_genes=9, **options))
    for rate in (0, 0.0, "rate", dict.fromkeys(data.names, 0)):
        for name, same in tables(designed(data, table, n_genes=9, failure_rate=rate, **options)).items():
            pd.testing.assert_frame_equal(same, plain[name])


def test_no_single_gene_is_relied_on():
    """The first two genes tell class 2 from the others, the third tells 0 from 1, less well."""
    mean = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [3.0, 3.0, 0.5]])
    first, second = np.triu_indices(3, 1)

    def best_two(rate):
        profiles = Profiles(mean, np.full((3, 3), 0.3), failure=np.full((1, 3), rate))
        objective = Objective(profiles, first, second, np.array([0.2, 0.4, 0.4]), 2.0)
        return max(combinations(range(3), 2), key=lambda genes: objective.value(objective.depth(genes)))

    assert best_two(0.01) == (0, 2)
    assert best_two(0.4) == (0, 1)


def test_the_tables_are_of_the_mean(small):
    data = read(small, {"groupby": "cell_type"})
    table = pd.DataFrame({"rate": np.linspace(0.1, 0.6, len(data.names))}, index=data.names)
    found = designed(data, table, n_genes=4, exclude_families=(), failure_rate="rate")
    written, number = tables(found), {name: i for i, name in enumerate(data.names)}
    whole = mean_over_failures(found.objective, found.panel)
    for gene, row in zip(found.panel.tolist(), written["genes"].itertuples(), strict=True):
        others = [g for g in found.panel.tolist() if g != gene]
        assert row.failure_rate == table["rate"].iloc[gene]
        assert row.loss == pytest.approx(whole - mean_over_failures(found.objective, others))
        for other, loss in ((row.substitute, row.loss_with_substitute), (row.next_best, row.loss_with_next_best)):
            assert loss == pytest.approx(whole - mean_over_failures(found.objective, [*others, number[other]]))
    everything = mean_over_failures(found.objective, range(len(data.names)))
    assert written["curve"]["resolution"].iloc[-1] == pytest.approx(whole / everything)
    bound = 0.5 * (1 - mean_over_failures(found.objective.with_tau(4.0), found.panel))
    assert written["pairs"]["error_bound"].mean() == pytest.approx(bound)
    assert (written["pairs"]["resolved"] <= written["pairs"]["possible"] + 1e-12).all()


def test_a_gene_that_fails_more_often_is_chosen_later(adata):
    plain = smg.tl.panel(adata, "cell_type", n_genes=6) or smg.get.panel(adata)
    adata.var["rate"] = np.where(adata.var_names == plain[0], 0.9, 0.1)
    smg.tl.panel(adata, "cell_type", n_genes=6, failure_rate="rate")
    assert smg.get.panel(adata)[0] != plain[0]


@pytest.mark.parametrize("wrong", [1, 1.5, -0.1, np.nan])
def test_a_number_that_is_no_probability_below_1_is_refused(adata, wrong):
    with pytest.raises(ValueError, match=rf"failure_rate={wrong} is no probability below 1; give a number from 0"):
        smg.tl.panel(adata, "cell_type", n_genes=3, failure_rate=wrong)


@pytest.mark.parametrize("wrong", [True, [0.1, 0.2]])
def test_anything_else_is_refused(adata, wrong):
    with pytest.raises(TypeError, match="is none of: a number from 0 to below 1, a column of adata.var"):
        smg.tl.panel(adata, "cell_type", n_genes=3, failure_rate=wrong)


@pytest.mark.parametrize(("wrong", "said"), [(1.0, "has 1 for NOISE9;"), (np.nan, "has no failure rate for NOISE9;")])
def test_a_wrong_rate_of_one_gene_is_named(adata, wrong, said):
    adata.var["rate"] = np.where(adata.var_names == "NOISE9", wrong, 0.2)
    with pytest.raises(ValueError, match=f"column 'rate' of adata.var {said} every gene needs a probability"):
        smg.tl.panel(adata, "cell_type", n_genes=3, failure_rate="rate")
    with pytest.raises(ValueError, match=f"the table failure_rate {said}"):
        smg.tl.panel(adata, "cell_type", n_genes=3, failure_rate=dict(adata.var["rate"]))


def test_an_unknown_column_is_named(adata):
    with pytest.raises(KeyError, match="no column 'rates'"):
        smg.tl.panel(adata, "cell_type", n_genes=3, failure_rate="rates")


def test_the_same_option_inside_a_choice_for_cross_validation(data):
    chosen = panel.choose(5, failure_rate=0.3)(data)
    assert data.names[chosen].tolist() == names(designed(data, n_genes=5, failure_rate=0.3))
