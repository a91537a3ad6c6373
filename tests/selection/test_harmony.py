"""Harmony: the models see other features with it, and a gene that differs between batches only is no marker."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import read
from smash_gpu.selection import harmony, scoring, steps
from smash_gpu.selection.options import Filters

pytest.importorskip("harmonypy")


def with_batch_gene(adata, batches, high_in, rng):
    """One more gene, bright in one batch whatever the cell type."""
    import anndata as ad

    size = np.asarray(adata.X.sum(axis=1)).ravel()
    rate = np.where(adata.obs[batches].astype(str) == high_in, 1e-2, 1e-5) * size
    counts = sparse.hstack([adata.X, sparse.csr_matrix(rng.poisson(rate)[:, None].astype(np.float32))]).tocsr()
    return ad.AnnData(counts, obs=adata.obs.copy(), var=pd.DataFrame(index=[*adata.var_names, "BATCHGENE"]))


def confounded(adata, batches, high_in, group, rng, *, share=0.15):
    """Leave a ``share`` of the cells of ``group`` outside the batch ``high_in``, and of the others inside it."""
    inside = (adata.obs[batches].astype(str) == high_in).to_numpy()
    member = (adata.obs["cell_type"].astype(str) == group).to_numpy()
    return adata[(inside == member) | (rng.random(adata.n_obs) < share)].copy()


def gene_rank(adata, group, gene):
    scores = np.nan_to_num(adata.varm["smash"][:, list(adata.uns["smash"]["groups"]).index(group)], nan=-np.inf)
    return int((scores > scores[adata.var_names.get_loc(gene)]).sum()) + 1


@pytest.mark.slow
@pytest.mark.parametrize("high_in", ["3pv1", "3pv2", "5p"])
def test_a_batch_gene_is_a_marker_without_harmony_and_not_with_it(shared, high_in):
    rng = np.random.default_rng(8)  # a draw of cells that the constants of `batch` were not chosen on
    adata = shared("pbmc_3batch_symphony")
    adata = adata[adata.obs["cell_type"].isin(["T", "B", "Mono", "NK"])].copy()
    adata = with_batch_gene(confounded(adata, "sample", high_in, "T", rng), "sample", high_in, rng)
    options = {"model": "rf", "n_top": 10, "min_cells": 2}
    smg.tl.smash(adata, "cell_type", **options)
    assert "BATCHGENE" in smg.get.markers_dict(adata)["T"]
    without = gene_rank(adata, "T", "BATCHGENE")
    smg.tl.smash(adata, "cell_type", batch_key="sample", **options)
    assert "BATCHGENE" not in smg.get.markers_dict(adata)["T"]
    assert gene_rank(adata, "T", "BATCHGENE") > 2 * without


@pytest.mark.slow
def test_harmony_changes_what_the_models_see(shared, monkeypatch):
    adata = shared("pbmc_3batch_symphony")
    seen = []

    class Witness:
        def fit(self, X, group, split):
            seen.append(X.copy())
            return self

        def importance(self, X, group, split):
            return np.zeros((group.max() + 1, X.shape[1]))

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    for batch_key in (None, "sample"):
        smg.tl.importance(adata, "cell_type", model=Witness(), batch_key=batch_key)
    plain, corrected = seen
    assert plain.shape == corrected.shape
    sample = adata.obs["sample"].astype(str).to_numpy()

    def between(X):
        means = np.array([X[sample == s].mean(axis=0) for s in np.unique(sample)])
        return means.std(axis=0)

    assert np.abs(corrected - plain).max() > 0.1
    assert between(corrected).mean() < 0.5 * between(plain).mean()


def test_the_shift_is_the_correction_carried_back_by_the_loadings(rng):
    adata = planted(rng)
    adata.obs["batch"] = np.where(rng.random(adata.n_obs) < 0.5, "x", "y")
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    candidates, _ = steps.filter_genes(data, Filters())
    index = np.flatnonzero(candidates)
    X = data.host_expression(index)
    shift = scoring.batch_shift(data, index, X, np.arange(len(X)), random_state=0)
    centred = X - X.mean(axis=0)
    axes = shift.loadings
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-8)
    corrected = harmony.harmonize((centred @ axes).astype(float), data.batch[data.cells])
    expected = X + (corrected - centred @ axes) @ axes.T
    np.testing.assert_allclose(shift.added_to(X.copy(), np.arange(len(X))), expected, atol=2e-3)
    part = np.array([3, 100, 7])
    np.testing.assert_allclose(shift.added_to(X[part].copy(), part), expected[part], atol=2e-3)


def test_harmony_leaves_the_global_random_state_alone(rng):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (harmony.harmonize(rng.normal(size=(80, 5)), np.repeat(["x", "y"], 40)) for _ in range(2))
    assert not np.array_equal(first, second), "other cells, other components"
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_one_batch_is_an_error_that_names_the_column(adata):
    adata.obs["lane"] = "one"
    with pytest.raises(ValueError, match="batch_key='lane' has one value only"):
        smg.tl.smash(adata, "cell_type", batch_key="lane")


STEPS = {
    "tl.smash": lambda a: smg.tl.smash(a, "cell_type", batch_key="run", model_options={"n_estimators": 5}),
    "tl.importance": lambda a: smg.tl.importance(a, "cell_type", batch_key="run", model_options={"n_estimators": 5}),
    "tl.panel": lambda a: smg.tl.panel(a, "cell_type", batch_key="run", n_genes=3),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_batches_that_share_no_class_are_named(rng, monkeypatch, step):
    """Sorted types, one in a run: nothing tells the batch from the type."""
    adata = planted(rng, n_cells=120)
    adata.obs["run"] = "run of " + adata.obs["cell_type"].astype(str)
    said = "the batches fall into 3 parts that share no class; differences between classes of different parts may be"

    def harmonize(components, *_, **__):
        pytest.fail("Harmony ran before the warning") if not warned.list else None
        return components

    monkeypatch.setattr("smash_gpu.selection.scoring.harmonize", harmonize)
    with pytest.warns(UserWarning, match=said) as warned:
        step(adata)
    assert sum("share no class" in str(w.message) for w in warned) == 1


def test_batches_that_share_classes_through_others_are_not(rng, recwarn):
    adata = planted(rng, n_cells=240)
    code = adata.obs["cell_type"].cat.codes.to_numpy()
    adata.obs["run"] = np.where(np.arange(240) % 2, code, (code + 1) % 3).astype(str)
    smg.tl.importance(adata, "cell_type", batch_key="run", model_options={"n_estimators": 5})
    assert not [w for w in recwarn if "share no class" in str(w.message)]
