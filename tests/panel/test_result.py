"""Tables of a designed panel, against plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.substitutes import substitutes
from smash_gpu.panel.tables import tables


def designed(data, **options):
    return panel.design(panel.prepare(data, [panel.Level("x", data.group, data.groups)], panel.Request.of(options)))


def test_substitutes_are_the_best_of_all_exchanges(data):
    design = designed(data, n_genes=6)
    found = substitutes(design)
    objective, whole = design.objective, design.value[-1]
    for place, gene in enumerate(design.panel):
        rest = [g for g in design.panel if g != gene]
        others = [g for g in range(len(data.names)) if g not in design.panel]
        values = [objective.value(objective.depth([*rest, g])) for g in others]
        assert found.gene[place] == others[int(np.argmax(values))]
        assert np.isclose(found.loss_with[place], whole - max(values))
        assert np.isclose(found.loss[place], whole - objective.value(objective.depth(rest)))


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
    assert (found["substitute"] == "").all()
    np.testing.assert_allclose(found["loss_with_substitute"], found["loss"])


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
