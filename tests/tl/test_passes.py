"""How often each function reads the matrix."""

from __future__ import annotations

import numpy as np
import pytest
from cases.steps import FEW_TREES, importance
from cells import Counted, in_dask

import smash_gpu as smg

MARKERS = ["MARKER0X", "MARKER1X", "MARKER2X"]
STEPS = {
    "pp.filter_genes": (lambda adata, **o: smg.pp.filter_genes(adata, "cell_type", **o), 1),  # sums of the groups
    "pp.inverse_pca": (lambda adata, **_: smg.pp.inverse_pca(adata), 1),  # moments; the sums are there
    "tl.importance": (lambda adata, **_: importance(adata), 1),  # expression of the candidates
    "tl.rank_markers": (lambda adata, **_: smg.tl.rank_markers(adata), 0),
}
SMASH = 2
WITH = {  # options of tl.smash, and its passes
    "alone": ({}, SMASH),
    "a forest": ({"model": "rf"}, SMASH),
    "a network": ({"model": "dnn", "model_options": {}}, SMASH),
    "several models": ({"n_models": 3}, SMASH),
    "a sample of the cells": ({"max_cells": 100}, SMASH),
    "a sample for each of three models": ({"max_cells": 100, "n_models": 3}, SMASH + 2),
    "samples": ({"sample_key": "sample"}, SMASH + 1),  # detections in each sample
    "batches": ({"batch_key": "sample"}, SMASH + 1),  # moments for Harmony
    "inverse PCA": ({"inverse_pca": True}, SMASH + 1),  # moments
    "two broad groups": ({"within": "broad"}, 2 * SMASH),
}
OTHERS = {
    "tl.panel": (lambda adata, _: smg.tl.panel(adata, "cell_type", n_genes=5), 1),
    "tl.panel with the variation": (  # the sums, the moments of its genes
        lambda adata, _: smg.tl.panel(adata, "cell_type", n_genes=5, variation=0.1), 2
    ),
    "tl.panel of two columns with samples and batches": (
        lambda adata, _: smg.tl.panel(
            adata, ["cell_type", "broad"], n_genes=5, sample_key="sample", batch_key="sample", min_markers=1
        ),
        1,
    ),
    "tl.evaluate of a list": (lambda adata, _: smg.tl.evaluate(adata, "cell_type", genes=MARKERS), 1),
    "tl.evaluate of a list, thinned": (  # as it is, the counts, the sums of the cells
        lambda adata, _: smg.tl.evaluate(adata, "cell_type", genes=MARKERS, thin=0.5), 3
    ),
    "tl.evaluate of a function": (  # the check before it, the expression
        lambda adata, _: smg.tl.evaluate(adata, "cell_type", genes=lambda *_: MARKERS, n_genes=3), 2
    ),
    "tl.tune": (  # as tl.smash; all trials read the same expression
        lambda adata, _: smg.tl.tune(adata, "cell_type", model="xgboost", n_trials=3, model_options=FEW_TREES), SMASH
    ),
    "tl.nsforest_metrics": (
        lambda adata, _: smg.tl.nsforest_metrics(adata, "cell_type", markers={"A": MARKERS[:2]}), 1
    ),
    "export.xenium_reference": (
        lambda adata, path: smg.export.xenium_reference(adata, path, groupby="cell_type"), 2
    ),
}  # fmt: skip


@pytest.fixture
def counted(adata, monkeypatch):
    """240 cells in blocks of ten, in a matrix that counts."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10)
    adata.obs["broad"] = np.where(np.arange(adata.n_obs) % 2, "odd", "even")
    adata.X = Counted(adata.X)
    assert isinstance(adata.X, Counted)
    return adata


def test_step_by_step_takes_as_many_passes_as_all_at_once(counted):
    before = 0
    for name, (step, passes) in STEPS.items():
        step(counted)
        assert counted.X.passes - before == passes, name
        before = counted.X.passes
    assert before == SMASH + 1


@pytest.mark.filterwarnings("ignore:trained on 100 of 240 cells")
@pytest.mark.filterwarnings("ignore:fewer than 5 genes")
@pytest.mark.parametrize(("options", "passes"), WITH.values(), ids=WITH)
def test_passes_of_smash(counted, options, passes):
    if options.get("model") == "dnn":
        pytest.importorskip("torch")
    smg.tl.smash(counted, "cell_type", **({"model_options": FEW_TREES} | options))
    assert counted.X.passes == passes


@pytest.mark.filterwarnings("ignore:the Ensembl ids are not known")
@pytest.mark.filterwarnings("ignore:.*fewer markers than promised")
@pytest.mark.parametrize("name", OTHERS)
def test_passes_of_other_functions(counted, tmp_path, name):
    if name == "tl.tune":
        pytest.importorskip("optuna")
    function, passes = OTHERS[name]
    function(counted, tmp_path)
    assert counted.X.passes == passes


def test_other_markers_after_smash_take_no_pass(counted):
    smg.tl.smash(counted, "cell_type", model_options=FEW_TREES)
    smg.tl.rank_markers(counted, n_top=2, positive_only=True)
    assert counted.X.passes == SMASH


def test_a_dask_array_is_read_as_often_by_tl_smash_and_anew_by_each_step(adata):
    """Its name stays when a file behind it changes, so no step relies on an earlier one."""
    blocks = []

    def count(block, block_info=None):
        blocks.append(block_info[0]["chunk-location"][0])
        return block

    n_blocks = 6
    X = in_dask(adata.X, adata.n_obs // n_blocks)
    adata.X = X.map_blocks(count, meta=X._meta, dtype=X.dtype)
    blocks.clear()
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    assert np.bincount(blocks).tolist() == [SMASH] * n_blocks
    blocks.clear()
    for step, _ in STEPS.values():
        step(adata)
    assert np.bincount(blocks).tolist() == [SMASH + 3] * n_blocks  # moments; the sums again for them and the ranking
