"""Pairs of classes: columns, weights, ignored classes, batches."""

from __future__ import annotations

import numpy as np
import pytest
from cases.panels import counts_per_cell, designed
from cells import planted

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.problem import prepare


def two_levels(data):
    fine = np.where(data.group == 0, data.matrix[:, 40].toarray().ravel() > 0, data.group + 1).astype(int)
    return [
        panel.Level("broad", data.group, data.groups),
        panel.Level("fine", fine, np.array(["A1", "A2", "B", "T"], dtype=object), weight=1.0),
    ]


def test_pairs_exist_within_columns_and_columns_weigh_what_they_are_told(data):
    levels = two_levels(data)
    levels[1] = panel.Level("fine", levels[1].code, levels[1].classes, weight=3.0)
    problem = prepare(data, levels, panel.Request(n_genes=5))
    column = problem.classes.levels
    assert (column[problem.objective.first] == column[problem.objective.second]).all()
    assert np.isclose(problem.objective.weight[column[problem.objective.first] == "fine"].sum(), 0.75)
    assert len(problem.objective.first) == 3 + 6


def test_a_pair_that_two_columns_have_counts_once(data):
    """With equal names and as many cells; classes of one name that are others count in each column."""
    levels = two_levels(data)
    a, b, t = map(str, data.groups)
    levels[1] = panel.Level("fine", levels[1].code, np.array(["A1", "A2", b, t], dtype=object))

    def pairs_of(*levels):
        problem = prepare(data, list(levels), panel.Request(n_genes=5))
        names, of = problem.classes.names, problem.classes.levels
        rows = zip(problem.objective.first, problem.objective.second, problem.objective.weight, strict=True)
        return {(of[i], names[i], names[j]): float(weight) for i, j, weight in rows}

    found = pairs_of(*levels)
    assert len(found) == 3 + 5 and ("broad", b, t) in found and ("fine", b, t) not in found
    assert sum(weight for pair, weight in found.items() if pair[0] == "fine") == pytest.approx(0.5)
    assert pairs_of(levels[0], panel.Level("again", data.group, data.groups)) == pytest.approx(pairs_of(levels[0]))
    other = np.where(np.arange(len(data.group)) == np.flatnonzero(data.group == 1)[0], 0, levels[1].code)
    assert len(pairs_of(levels[0], panel.Level("fine", other, levels[1].classes))) == 3 + 6
    levels[0] = panel.Level("broad", data.group, data.groups, weight=0.0)
    assert len(pairs_of(*levels)) == 6


def test_a_column_of_weight_0_changes_nothing(data):
    levels = two_levels(data)
    levels[1] = panel.Level("fine", levels[1].code, levels[1].classes, weight=0.0)
    design = panel.design(prepare(data, levels, panel.Request(n_genes=9)))
    assert design.panel.tolist() == panel.choose(9)(data).tolist()


def test_the_sums_of_two_columns_from_one_pass_are_those_of_each(data):
    levels = two_levels(data)
    problem = prepare(data, levels, panel.Request(n_genes=5))
    for level in levels:
        span = problem.classes.spans[level.name]
        stats = data.stats_by(level.code, len(level.classes))
        assert np.array_equal(problem.expressed.stats.detected[span], stats.detected)
        assert np.allclose(problem.objective.profiles.mean[span], stats.mean)


def test_ignored_classes_are_in_no_pair_but_under_the_cap(data):
    design = designed(data, n_genes=6, ignore=["B / b"], max_transcripts=12.0)
    assert len(design.objective.first) == 1
    assert counts_per_cell(data)[:, design.panel].sum(axis=1).max() <= 12
    with pytest.raises(KeyError, match="did you mean|Did you mean"):
        designed(data, n_genes=6, ignore=["B / c"])
    with pytest.raises(ValueError, match="no pair of classes is left"):
        designed(data, n_genes=6, ignore=["B / b", "A"])


def test_weights_of_pairs_multiply(data):
    plain = designed(data, n_genes=2).objective
    options = {"class_weights": {"A": 2.0}, "pair_weights": {("CD4+ T", "A"): 5.0}, "prior": 1.0}
    weighted = designed(data, n_genes=2, **options).objective
    share = data.stats.cells / data.stats.cells.sum()
    expected = [2 * np.sqrt(share[0] * share[1]), 10 * np.sqrt(share[0] * share[2]), np.sqrt(share[1] * share[2])]
    assert np.allclose(plain.weight, 1 / 3)
    assert np.allclose(weighted.weight, np.array(expected) / sum(expected))


def test_batches_are_blocks_of_an_additive_model(adata, rng):
    batch = rng.integers(0, 3, adata.n_obs)
    adata.obs["batch"] = [f"b{i}" for i in batch]
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    profiles = prepare(data, [panel.Level("x", data.group, data.groups)], panel.Request(n_genes=2)).objective.profiles
    design = np.hstack([np.eye(3)[data.group], np.eye(3)[batch]])
    e = data.host_expression(np.arange(60)).astype(float)
    fitted = np.linalg.lstsq(design, e, rcond=None)[0]
    assert np.allclose(np.diff(profiles.mean, axis=0), np.diff(fitted[:3], axis=0), atol=1e-6)
    residual = (e - (np.eye(3)[batch] @ fitted[3:])) - (fitted[:3])[data.group]
    expected = np.array([residual[data.group == c].var(axis=0) for c in range(3)])
    assert np.allclose(profiles.variance, expected, atol=1e-5)


def test_a_gene_of_one_batch_does_not_separate_classes_that_batches_hold_unevenly(rng):
    adata = planted(rng, n_cells=600)
    group = adata.obs["cell_type"].cat.codes.to_numpy()
    batch = (rng.random(600) < np.where(group == 0, 0.9, 0.1)).astype(int)
    dense = adata.X.toarray()
    dense[:, 50] = rng.poisson(np.where(batch == 1, 8.0, 0.2))
    adata.X = type(adata.X)(dense)
    adata.obs["batch"] = batch.astype(str)
    sources = ({"groupby": "cell_type"}, {"groupby": "cell_type", "batch_key": "batch"})
    confounded, blocked = (designed(read(adata, source), n_genes=6).objective for source in sources)
    assert confounded.gains(confounded.depth(), [50])[0] > 0.2
    assert blocked.gains(blocked.depth(), [50])[0] < 0.02


def test_batches_without_a_common_class_are_a_warning(adata):
    adata.obs["batch"] = np.where(adata.obs["cell_type"] == "A", "one", "two")
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    with pytest.warns(UserWarning, match="2 parts that share no class"):
        designed(data, n_genes=3)
