"""Effect sizes: what they are, and that a marker needs them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.steps import FEW_TREES
from cells import SHARED_SETS, planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import read
from smash_gpu.data.stats import group_stats
from smash_gpu.selection import effects
from smash_gpu.selection.options import ANY_EFFECT, Ranking

MODELS = {"rf": FEW_TREES, "brf": FEW_TREES, "xgboost": {"n_estimators": 10}, "dnn": {"max_explained": 50}}


@pytest.fixture
def expression(rng):
    """Expression with many ties, cells × genes, and the group of each cell."""
    return (rng.poisson(0.8, (70, 9)) * 0.5).astype(np.float32), rng.permutation(np.arange(70) % 4)


def test_effects_are_the_plain_loop(expression):
    X, group = expression
    found = effects.Effects.of(group_stats(sparse.csr_matrix(X), group, 4, target_sum=None))
    means = np.array([X[group == c].mean(axis=0) for c in range(4)])
    for c in range(4):
        inside, outside = X[group == c], X[group != c]
        np.testing.assert_allclose(found.log2_fold_change[c], (inside.mean(0) - outside.mean(0)) / np.log(2), atol=1e-6)
        np.testing.assert_allclose(found.fraction_difference[c], (inside > 0).mean(0) - (outside > 0).mean(0))
        np.testing.assert_allclose(found.nearness[c], (means[c] - means.min(0)) / np.ptp(means, axis=0), atol=1e-6)


def test_a_fold_change_is_that_of_counts_with_a_pseudo_count_of_one():
    X = np.log1p(np.array([[31.0], [31.0], [7.0], [7.0]], np.float32))
    found = effects.Effects.of(group_stats(sparse.csr_matrix(X), np.array([0, 0, 1, 1]), 2, target_sum=None))
    np.testing.assert_allclose(found.log2_fold_change[:, 0], [2, -2], rtol=1e-6)


@pytest.mark.parametrize("at_once", [2**18, 100])
def test_auc_is_that_of_scikit_learn(expression, monkeypatch, at_once):
    from sklearn.metrics import roc_auc_score

    monkeypatch.setattr(effects, "VALUES_AT_ONCE", at_once)
    X, group = expression
    for values in (X, X - X.mean(), -X, np.where(X == 0, np.float32(-0.0), X)):
        found = effects.auc(values, group, 4)
        for c in range(4):
            for g in range(9):
                assert found[c, g] == pytest.approx(roc_auc_score(group == c, values[:, g]))


def test_specificity_is_tau():
    mean = np.array([[4.0, 1, 2, 0], [0, 1, 1, 0], [0, 1, 0, 0]])
    np.testing.assert_allclose(effects.specificity(mean), [1, 0, 0.75, np.nan])


def test_a_gene_that_all_groups_have_alike_is_near_all_and_large_in_none():
    stats = group_stats(sparse.csr_matrix(np.ones((4, 1), np.float32)), np.array([0, 0, 1, 1]), 2, target_sum=None)
    found = effects.Effects.of(stats)
    assert not found.large(0.5, 0.0, 0.5).any()
    assert found.large(0.0, -1.0, 0.0).all()


def with_ambient_rna(rng):
    """Eight types of 60 cells; INS, much in beta cells, leaks into all droplets, a little more into Schwann cells."""
    types = ("beta", "Schwann", "acinar", "ductal", "alpha", "delta", "stellate", "mast")
    adata = planted(rng, n_cells=480, n_genes=400, groups=types)
    counts, kind = adata.X.toarray(), adata.obs["cell_type"].astype(str)
    counts[:, 100] = rng.poisson(kind.map({"beta": 60.0, "Schwann": 18.0}).fillna(8.0))
    often = rng.random(480) < kind.map({"Schwann": 0.5}).fillna(0.6)  # FEWER: more of it, in fewer cells
    counts[:, 101] = np.where(often, kind.map({"Schwann": 200}).fillna(2), 0)
    names = adata.var_names.to_numpy(dtype=object)
    names[100], names[101] = "INS", "FEWER"
    return ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=adata.obs, var=pd.DataFrame(index=names))


@pytest.mark.filterwarnings("ignore:found fewer than")
@pytest.mark.parametrize("model", MODELS)
def test_leaked_rna_is_no_marker_for_any_model(rng, model):
    if model == "dnn":
        pytest.importorskip("torch")
    adata = with_ambient_rna(rng)
    how = {"model": model, "model_options": MODELS[model], "n_top": 60}
    smg.tl.smash(adata, "cell_type", **how)
    markers = smg.get.markers(adata)
    assert "INS" not in smg.get.markers_dict(adata).get("Schwann", [])
    assert "INS" in smg.get.markers_dict(adata)["beta"]
    assert "FEWER" not in smg.get.markers_dict(adata).get("Schwann", [])
    up = markers[markers["direction"] == "up"]
    assert (up["fraction_in"] >= up["fraction_out"]).all()
    assert (markers["log2_fold_change"].abs() >= 0.5).all()
    column = list(adata.uns["smash"]["groups"]).index("Schwann")
    leaked = adata.var_names.get_indexer(["INS", "FEWER"])
    assert not adata.varm["smash_eligible"][leaked, column].any()
    mean, rest = read(adata, {"groupby": "cell_type"}).stats.mean, read(adata, {"groupby": "cell_type"}).stats.rest.mean
    assert (mean[column, leaked] > rest[column, leaked]).all()  # up, by the mean alone
    smg.tl.rank_markers(adata, n_top=60, **ANY_EFFECT)
    assert adata.varm["smash_eligible"][leaked, column].all()


def kept(adata, **options):
    smg.tl.rank_markers(adata, n_top=60, **{**ANY_EFFECT, **options})
    return smg.get.markers(adata)


@pytest.mark.filterwarnings("ignore:found fewer than")
def test_each_rule_is_a_parameter(adata):
    smg.tl.importance(adata, "cell_type", model_options=FEW_TREES)
    every = kept(adata)
    for value in (1.0, 3.0):
        large = every[every["log2_fold_change"].abs() >= value]
        assert set(kept(adata, min_log2_fold_change=value)["name"]) == set(large["name"])
    different = every[every["fraction_in"] - every["fraction_out"] >= 0.3]
    assert set(kept(adata, min_fraction_difference=0.3)["name"]) == set(different["name"])
    mean = adata.varm["smash_mean"]
    highest = adata.var_names[mean.argmax(axis=1) == 0]
    assert set(kept(adata, near_highest=1.0).query("group == 'A'")["name"]) <= set(highest)


def test_the_paper_needs_no_effect_size(adata):
    options = smg.paper("rf")
    assert {name: options[name] for name in ANY_EFFECT} == ANY_EFFECT
    smg.tl.smash(adata, "cell_type", n_top=40, **{**options, "model_options": FEW_TREES})
    allowed = ~np.isnan(adata.varm["smash"])
    np.testing.assert_array_equal(adata.varm["smash_eligible"], allowed)
    assert not adata.varm["smash_spare"].any()


BAD = {
    "min_log2_fold_change": (-1, "must be at least 0"),
    "min_fraction_difference": (10, "not a percentage"),
    "near_highest": (50, "from 0, which needs nothing, to 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_values_that_make_no_sense_are_named(name):
    value, said = BAD[name]
    with pytest.raises(ValueError, match=f"{name}={value} .*{said}"):
        Ranking(**{name: value})


def test_a_panel_takes_markers_first_and_then_what_differs_less(adata):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, min_log2_fold_change=5, n_top=3)
    markers, whole = set(smg.get.markers(adata)["name"]), smg.get.marker_panel(adata, 9)
    assert set(whole) == markers
    with pytest.warns(UserWarning, match="9 genes differ enough .* the last 11 of the list differ less"):
        longer = smg.get.marker_panel(adata, 20)
    assert longer[:9] == whole
    assert len(set(longer)) == 20
    smg.tl.evaluate(adata, "cell_type", n_genes=20, n_splits=1)
    assert smg.get.evaluation(adata).loc["n_genes", "mean"] == 20


def test_auc_in_the_table_is_that_of_all_cells_and_survives_new_ranks(adata):
    from sklearn.metrics import roc_auc_score

    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    first = smg.get.markers(adata)
    data = read(adata, {"groupby": "cell_type"})
    X = data.host_expression(np.arange(adata.n_vars))
    for row in first.itertuples():
        is_in = adata.obs["cell_type"].astype(str).to_numpy() == row.group
        assert row.auc == pytest.approx(roc_auc_score(is_in, X[:, adata.var_names.get_loc(row.name)]), abs=1e-6)
    smg.tl.rank_markers(adata)
    pd.testing.assert_frame_equal(smg.get.markers(adata), first)


def test_auc_of_many_cells_is_that_of_a_sample_of_them(adata, monkeypatch):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    exact = smg.get.markers(adata)["auc"]
    monkeypatch.setattr("smash_gpu.selection.effects.BYTES_FOR_AUC", 4 * 60 * 120)  # 120 cells
    monkeypatch.setattr("smash_gpu.selection.effects.MIN_CELLS_PER_CLASS", 20)
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    sampled = smg.get.markers(adata)["auc"]
    assert not sampled.equals(exact)
    np.testing.assert_allclose(sampled, exact, atol=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED_SETS or ["none"])
def test_every_class_of_the_real_sets_has_five_genes_that_differ_enough(shared, name):
    adata = shared(name)
    stats = read(adata, {"groupby": "cell_type", "min_cells": 2}).stats
    expressed = (stats.fraction >= 0.3).any(axis=0)
    found = effects.Effects.of(stats.of_genes(expressed))
    large = found.large(Ranking.min_log2_fold_change, Ranking.min_fraction_difference, Ranking.near_highest)
    assert (large & found.up).sum(axis=1).min() >= 5
