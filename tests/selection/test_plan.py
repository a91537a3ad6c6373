"""The plan of a selection."""

from __future__ import annotations

import anndata as ad
import h5py
import pytest
from scipy import sparse

from smash_gpu.selection import plan


def test_the_plan_counts_what_each_model_takes(adata):
    """Twice the cells, twice the bytes; a value of the expression takes four; trees and forests keep more than that.

    A model of the user's own that says nothing is counted as `scoring` checks it: with a copy of the training cells.
    """
    models = ("rf", "xgboost", "dnn", object())
    once, twice = (
        [plan.plan(X, 3, model=model) for model in models]
        for X in (adata.X, sparse.vstack([adata.X, adata.X], format="csr"))
    )
    for one, two in zip(once, twice, strict=True):
        assert two.bytes_per_candidate == pytest.approx(2 * one.bytes_per_candidate, abs=1)
        assert two.training_cells == 2 * one.training_cells == 2 * adata.n_obs
    forest, trees, network, own = once
    assert forest.bytes_per_candidate > trees.bytes_per_candidate > network.bytes_per_candidate
    assert network.bytes_per_candidate == 4 * adata.n_obs
    assert own.bytes_per_candidate == forest.bytes_per_candidate
    assert [one.on_disk for one in once] == [False, True, True, False]


def test_the_plan_counts_the_passes_for_batches(adata):
    matrix = adata.X
    plain, corrected = (plan.plan(matrix, 3, batches=batches).passes for batches in (False, True))
    assert [what for what in corrected if what not in plain] == ["covariance of the candidates, for the batches"]
    sampled = plan.plan(matrix, 3, batches=True, n_models=2, max_cells=matrix.shape[0] // 2).passes
    assert len(sampled) == len(corrected) + 2


def test_the_plan_of_several_models_adds_their_passes_and_holds_one_of_them_at_a_time(adata):
    forest, trees, both = (plan.plan(adata.X, 3, model=model) for model in ("rf", "xgboost", ["xgboost", "rf"]))
    assert len(both.passes) == len(forest.passes) + 1
    assert (both.bytes_per_candidate, both.on_disk) == (forest.bytes_per_candidate, forest.on_disk)
    assert both.bytes_per_candidate > trees.bytes_per_candidate
    sampled = [plan.plan(adata.X, 3, model=model, n_models=2, max_cells=100) for model in ("rf", ["rf", "xgboost"])]
    assert len(sampled[1].passes) == len(sampled[0].passes) + 2


def test_the_plan_in_words_says_where_the_matrix_is(adata, tmp_path):
    adata.write_h5ad(tmp_path / "data.h5ad")
    with h5py.File(tmp_path / "data.h5ad") as file:
        on_disk = plan.plan(ad.io.sparse_dataset(file["X"]), 3).lines[0]
    assert "GB unpacked)" in on_disk
    assert "GB in memory in blocks of" in plan.plan(adata.X, 3).lines[0]
