"""Completions of a panel, against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu.panel.feasible import Task, completion
from smash_gpu.panel.reserve import Reserve


@st.composite
def tasks(draw):
    """Small problems of caps and promised markers."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    n_genes, n_caps, n_classes = 9, draw(st.integers(0, 3)), draw(st.integers(0, 3))
    load = rng.choice([0.0, 0.1, 0.25, 0.5, 0.9], (n_caps, n_genes))
    markers = rng.random((n_classes, n_genes)) < 0.3
    tier = np.where(rng.random(n_genes) < 0.15, 4, rng.integers(1, 4, n_genes))
    possible = markers[:, tier < 4].sum(axis=1)
    missing = np.minimum(rng.integers(0, 3, n_classes), possible)
    return Task(draw(st.integers(0, 5)), tier, load, np.ones(n_caps), markers, missing)


@given(task=tasks())
@settings(max_examples=120)
def test_a_completion_is_found_if_there_is_one_and_lacks_the_fewest_markers(task):
    all_panels = [np.array(p, dtype=int) for p in combinations(task.genes, task.n)]
    fewest = min((task.lacks(p).sum() for p in all_panels if task.fits(p)), default=None)
    found = completion(task)
    assert (found.panel is None) == (fewest is None)
    if found.panel is not None:
        assert task.fits(found.panel)
        assert set(found.panel) <= set(task.genes)
        assert task.lacks(found.panel).sum() == fewest == found.least_lacking


@given(task=tasks(), seed=st.integers(0, 100))
@settings(max_examples=60)
def test_the_reserve_completes_the_panel_whatever_is_chosen(task, seed):
    start = completion(task).panel
    if start is None:
        return
    reserve, chosen = Reserve(start, task), []
    for gene in np.random.default_rng(seed).permutation(np.tile(task.genes, 5)):
        if len(chosen) < task.n and gene not in chosen and reserve.may_fit()[gene] and reserve.admits(gene):
            reserve.take(gene)
            chosen.append(gene)
    assert set(reserve.members) | set(chosen) >= set(chosen)
    whole = np.array([*chosen, *reserve.members], dtype=int)
    assert task.fits(whole)
    assert len(set(whole)) == task.n
    assert task.lacks(whole).sum() == task.lacks(start).sum()
