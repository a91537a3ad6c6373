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
