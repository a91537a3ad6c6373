"""Caps and promised markers, against plain loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases.panels import counts_per_cell, designed, names
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.certificate import missing
from smash_gpu.panel.runs import most_in_room
from smash_gpu.panel.substitutes import RISE, exchanges, substitutes
from smash_gpu.panel.tables import tables


@pytest.mark.parametrize(("cap", "n_genes"), [(15.0, 10), (20.0, 20), (60.0, 40), (9.0, 12)])
def test_the_cap_holds_in_every_class(data, cap, n_genes):
    design = designed(data, n_genes=n_genes, max_transcripts=cap)
    assert len(set(design.panel)) == n_genes
    assert (counts_per_cell(data)[:, design.panel].sum(axis=1) <= cap * (1 + 1e-9)).all()
    assert np.allclose(tables(design)["caps"]["used"], counts_per_cell(data)[:, design.panel].sum(axis=1))


def test_a_wide_cap_changes_nothing(data):
    assert designed(data, n_genes=20, max_transcripts=1e6).panel.tolist() == panel.choose(20)(data).tolist()


def test_a_cap_may_be_for_some_classes(data):
    free = counts_per_cell(data)[:, panel.choose(20)(data)].sum(axis=1)
    design = designed(data, n_genes=20, max_transcripts={data.groups[0]: 0.7 * free[0]})
    assert counts_per_cell(data)[0, design.panel].sum() <= 0.7 * free[0]
    with pytest.raises(KeyError, match="there is no class 'Z'"):
        designed(data, n_genes=20, max_transcripts={"Z": 1})


def test_the_existing_panel_fills_the_cap_separates_and_is_not_counted(data):
    existing = ["MARKER0X", "MARKER1X", "NOISE20"]
    design = designed(data, n_genes=10, extend=existing, max_transcripts=25.0)
    assert len(design.panel) == 10
    assert not set(names(design)) & set(existing)
    assert (counts_per_cell(data)[:, design.whole].sum(axis=1) <= 25).all()
    assert design.objective.tau == 0.3 * 13
    depth = design.objective.depth([list(data.names).index(name) for name in existing])
    assert np.isclose(design.value[0] - design.gain[0], design.objective.value(depth))
    assert not {"MARKER0X"} & set(names(designed(data, n_genes=2, extend=["MARKER0X"])))


def test_promised_markers_are_there(data):
    plain = designed(data, n_genes=6, pair_weights={("A", "CD4+ T"): 1000.0})
    promised = designed(data, n_genes=6, pair_weights={("A", "CD4+ T"): 1000.0}, min_markers=2)
    markers = promised.problem.markers
    assert (markers[:, promised.panel].sum(axis=1) >= 2).all()
    assert not (markers[:, plain.panel].sum(axis=1) >= 2).all()
    assert missing(tables(promised)["certificate"]).empty


def test_a_marker_exceeds_nine_tenths_of_the_other_classes(adata, rng):
    dense = adata.X.toarray()
    dense[:, 50] = rng.poisson(np.choose(adata.obs["cell_type"].cat.codes, [0.2, 6.0, 6.0]))  # exceeds one class only
    adata.X = type(adata.X)(dense)
    data = read(adata, {"groupby": "cell_type"})
    design = designed(data, n_genes=5, min_markers=1)
    n = data.stats.cells[:, None]
    mean = data.stats.total / n
    variance = data.stats.square / n - mean**2
    for c, g in np.ndindex(mean.shape):
        s = [(mean[c, g] - mean[o, g]) ** 2 / (variance[c, g] + variance[o, g] + 0.05) for o in range(3) if o != c]
        far = [x >= 0.5 and mean[c, g] > mean[o, g] for x, o in zip(s, [o for o in range(3) if o != c], strict=True)]
        assert design.problem.markers[c, g] == all(far)


@pytest.mark.parametrize("replacements", [substitutes, exchanges])
def test_substitutes_keep_caps_and_promises(data, replacements):
    weights = {("A", "CD4+ T"): 1000.0}
    design = designed(data, n_genes=6, min_markers=2, max_transcripts=20.0, pair_weights=weights)
    assert (design.problem.markers[:, design.panel].sum(axis=1) >= 2).all()
    found = replacements(design)
    assert (found.gene >= 0).any()
    for place, gene in enumerate(found.gene):
        if gene >= 0:
            panel_with = np.append(np.delete(design.panel, place), gene)
            assert (design.problem.markers[:, panel_with].sum(axis=1) >= 2).all()
            assert (counts_per_cell(data)[:, panel_with].sum(axis=1) <= 20.0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n_genes", "cap"), [(8, 16.0), (16, 19.0), (20, 16.0)])
def test_under_a_cap_no_exchange_of_two_genes_would_do_better(rng, n_genes, cap):
    data = read(planted(rng, groups=tuple("ABCDE")), {"groupby": "cell_type"})
    assert exchanges(designed(data, n_genes=n_genes, max_transcripts=cap)).loss_with.min() >= -RISE


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), share=st.floats(0.05, 1.0))
@settings(max_examples=50)
def test_no_genes_that_fit_gain_more_than_the_bound(seed, n, share):
    rng = np.random.default_rng(seed)
    gains, load = rng.exponential(1.0, 9), rng.exponential(1.0, 9) * (rng.random(9) < 0.8)
    room = share * load.sum() + 0.01
    fit = [list(p) for k in range(n + 1) for p in combinations(range(9), k) if load[list(p)].sum() <= room]
    best, bound = max(gains[p].sum() for p in fit), most_in_room(gains, load, room, n)
    assert best - 1e-12 <= bound <= np.sort(gains)[-n:].sum() + 1e-12
