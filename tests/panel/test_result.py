"""Tables of a designed panel, against plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.panel.substitutes import LEAST_SHARE, exchanges, substitutes
from smash_gpu.panel.tables import tables


def designed(data, **options):
    return panel.design(panel.prepare(data, [panel.Level("x", data.group, data.groups)], panel.Request.of(options)))


def test_the_next_best_gene_is_the_best_of_all_exchanges(data):
    design = designed(data, n_genes=6)
    found = exchanges(design)
    objective, whole = design.objective, design.value[-1]
    for place, gene in enumerate(design.panel):
        rest = [g for g in design.panel if g != gene]
        others = [g for g in range(len(data.names)) if g not in design.panel]
        values = [objective.value(objective.depth([*rest, g])) for g in others]
        assert found.gene[place] == others[int(np.argmax(values))]
        assert np.isclose(found.loss_with[place], whole - max(values))
        assert np.isclose(found.loss[place], whole - objective.value(objective.depth(rest)))


@pytest.mark.parametrize("tried", [512, 40])
@pytest.mark.parametrize("n_genes", [3, 6, 20])
def test_a_substitute_resolves_most_of_what_its_gene_resolves(data, monkeypatch, n_genes, tried):
    monkeypatch.setattr("smash_gpu.panel.substitutes.POOL", tried)
    design = designed(data, n_genes=n_genes)
    found, tau, s = substitutes(design), design.objective.tau, separations(data)
    for place, gene in enumerate(design.panel):
        rest = np.setdiff1d(design.panel, gene)
        depth = s[:, rest].sum(axis=1)
        left = np.exp(-depth / tau) / len(s)
        lost = left - np.exp(-(depth + s[:, gene]) / tau) / len(s)
        others = np.setdiff1d(np.arange(len(data.names)), design.panel)
        shares = [np.minimum(lost, left * (1 - np.exp(-s[:, g] / tau))).sum() / lost.sum() for g in others]
        if max(shares) < LEAST_SHARE:
            assert (found.gene[place], found.share[place]) == (-1, 0)
            assert found.loss_with[place] == pytest.approx(lost.sum())
            continue
        assert found.gene[place] == others[int(np.argmax(shares))]
        assert found.share[place] == pytest.approx(max(shares))
        value = 1 - np.exp(-(depth + s[:, found.gene[place]]) / tau).mean()
        assert found.loss_with[place] == pytest.approx(design.value[-1] - value, abs=1e-12)


def test_a_twin_is_the_substitute_of_its_gene_and_the_next_best_gene_another(rng):
    """C and D differ in ten genes a little; markers of A and of B come in fours, three of each chosen."""
    profile = np.full((4, 18), 1.0)
    profile[0, 0:4], profile[1, 4:8], profile[3, 8:] = 6, 6, 1.7
    group = np.repeat(np.arange(4), 200)
    counts = rng.poisson(profile[group]).astype(np.float32)
    names = [f"{of}{number}" for of in "AB" for number in (1, 2, 3, 4)] + [f"D{number}" for number in range(10)]
    names = np.array(names, dtype=object)
    data = Dataset(sparse.csr_matrix(counts), group, np.array(list("ABCD"), object), names, names, target_sum=1e4)
    chosen = [f"{of}{number}" for of in "AB" for number in (1, 2, 3)]
    options = {"n_genes": 6, "include": chosen, "species": "human", "tau": 1.0, "pair_weights": {("C", "D"): 5.0}}
    table = tables(designed(data, **options))["genes"].set_index("name")
    assert table["substitute"].to_dict() == {name: f"{name[0]}4" for name in chosen}
    assert (table["replaces"] > 0.8).all()
    assert all(name.startswith("D") for name in table["next_best"])
    assert (table["loss_with_next_best"] < table["loss_with_substitute"]).all()


def test_gains_add_up_and_the_curve_rises_to_the_value(data):
    design = designed(data, n_genes=10, extend=[data.names[0]])
    assert np.allclose(np.cumsum(design.gain) + design.objective.value(design.objective.depth([0])), design.value)
    curve = tables(design)["curve"]
    assert curve["resolution"].is_monotonic_increasing
    assert (curve["resolution"] <= curve["bound"] + 1e-12).all()
    assert np.allclose(curve["of_bound"], curve["resolution"] / curve["bound"])


def separations(data):
    """``s_g(a, b)`` of all genes from the counts, by NumPy alone; pairs × genes."""
    counts = data.matrix.toarray().astype(float)
    e = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    mean, variance = (
        np.array([of(e[data.group == c], axis=0) for c in range(data.n_groups)]) for of in (np.mean, np.var)
    )
    a, b = np.triu_indices(data.n_groups, 1)
    return (mean[a] - mean[b]) ** 2 / (variance[a] + variance[b] + 0.05)


@pytest.mark.parametrize(
    "options", [{}, {"nested": True}, {"extend": ["NOISE40", "MARKER0X"]}, {"max_transcripts": 38.0}]
)
@pytest.mark.parametrize("n_genes", [1, 12, 40])
def test_resolution_is_the_value_of_the_panel_over_that_of_all_genes(data, n_genes, options):
    design = designed(data, n_genes=n_genes, **options)
    s, tau = separations(data), design.objective.tau

    def value(genes):
        return (1 - np.exp(-s[:, genes].sum(axis=1) / tau)).mean()

    found, given = tables(design), design.problem.found.existing
    expected = [value(np.append(given, design.panel[:n]).astype(int)) for n in range(n_genes + 1)]
    expected = np.array(expected) / value(slice(None))
    np.testing.assert_allclose(found["curve"]["resolution"], expected, rtol=1e-9)
    np.testing.assert_allclose(found["genes"]["resolution"], expected[1:], rtol=1e-9)


@pytest.mark.parametrize("n_genes", [11, 12])
def test_bounds_enclose_the_best_panel_and_all_genes_have_resolution_1(adata, n_genes):
    data = read(adata[:, :12].copy(), {"groupby": "cell_type"})
    design, s = designed(data, n_genes=n_genes), separations(data)
    values = [
        (1 - np.exp(-s[:, list(genes)].sum(axis=1) / design.objective.tau)).mean()
        for genes in combinations(range(12), n_genes)
    ]
    last = tables(design)["curve"].iloc[-1]
    all_genes = (1 - np.exp(-s.sum(axis=1) / design.objective.tau)).mean()
    assert last["resolution"] - 1e-12 <= max(values) / all_genes <= last["bound"] + 1e-12 <= 1 + 1e-11
    assert last["resolution"] == pytest.approx(max(values) / all_genes, rel=1e-3)
    if n_genes == 12:
        assert last[["resolution", "bound", "of_bound"]].tolist() == [1, 1, 1]


@pytest.mark.parametrize("options", [{}, {"extend": ["NOISE40"]}, {"nested": True}, {"max_transcripts": 1e6}])
def test_as_many_genes_as_there_are_have_no_substitutes(data, options):
    design = designed(data, n_genes=60 - len(options.get("extend", ())), **options)
    found = tables(design)["genes"]
    assert set(found["name"]) == set(data.names) - set(options.get("extend", ()))
    assert (found[["substitute", "next_best"]] == "").all(axis=None)
    assert (found["replaces"] == 0).all()
    for column in ("loss_with_substitute", "loss_with_next_best"):
        np.testing.assert_allclose(found[column], found["loss"])


def test_a_mask_that_leaves_as_many_genes_as_are_asked_for_orders_them(data):
    mask = np.arange(len(data.names)) < 20
    levels = [panel.Level("x", data.group, data.groups)]
    design = panel.design(panel.prepare(data, levels, panel.Request(n_genes=20), mask=mask))
    assert set(design.panel) == set(np.flatnonzero(mask))
    assert (tables(design)["genes"]["substitute"] == "").all()


@pytest.mark.parametrize("options", [{}, {"max_transcripts": 9.0}, {"include": ["NOISE9"]}, {"nested": True}])
def test_value_and_bound_enclose_the_best_panel_that_is_allowed(adata, options):
    data = read(adata[:, :11].copy(), {"groupby": "cell_type"})
    design = designed(data, n_genes=4, **options)
    caps, must = design.problem.caps, set(design.problem.must)
    panels = [p for p in combinations(range(11), 4) if must <= set(p) and (caps.used(list(p)) <= caps.limit).all()]
    best = max(design.objective.value(design.objective.depth(p)) for p in panels)
    assert 0.9 * best <= design.value[-1] <= best + 1e-12
    rest = np.setdiff1d(np.arange(11), design.panel)
    largest = np.sort(design.objective.gains(design.depth, rest))[len(rest) - 4 + len(must) :]
    assert design.bound[-1] >= best - 1e-12
    if "max_transcripts" in options:  # solved exactly
        assert design.value[-1] == pytest.approx(best, abs=1e-9)
        assert design.bound[-1] == pytest.approx(best, abs=1e-8)
    else:
        assert np.isclose(design.bound[-1], min(1, design.value[-1] + largest.sum()))


def test_purposes_name_the_pairs_that_lose_most(data):
    design = designed(data, n_genes=3)
    table = tables(design)["purposes"]
    for gene in design.panel:
        mine = table[table["name"] == data.names[gene]]
        rest = design.objective.resolved(design.depth - design.objective.separation(gene))
        lost = design.objective.weight * (design.objective.resolved(design.depth) - rest)
        a, b = (data.groups[rows[int(lost.argmax())]] for rows in (design.objective.first, design.objective.second))
        assert (mine["class_a"].iloc[0], mine["class_b"].iloc[0]) == (a, b)
        assert np.isclose(mine["share"].sum(), 1)  # three pairs in all
