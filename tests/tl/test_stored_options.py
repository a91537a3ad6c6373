"""The options of every step are stored whole, so that it can be run again from them."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.lists import MIXED, NOISE
from cells import SLOW_ZARR

import smash_gpu as smg
from smash_gpu.annotated import slots

FEW_TREES = {"n_estimators": 10}
NOT_STORED = {"adata", "memory", "key"}
ELSEWHERE = {"nsforest": {"markers"}, "spapros": {"genes", "markers"}}  # in tables: labels are no keys


def first(cells, n_genes):
    return cells.var_names[:n_genes].tolist()


STEPS = {
    "evaluation": (smg.tl.evaluate, {"genes": MIXED, "n_splits": 2}),
    "stability": (smg.tl.stability, {"n_genes": 3, "n_resamples": 2, "choose": first}),
    "nsforest": (smg.tl.nsforest_metrics, {"markers": {"A": MIXED[:2]}}),
    "spapros": (smg.tl.spapros_metrics, {"genes": MIXED, "metrics": ["gene_corr"]}),
}


@pytest.mark.parametrize("step", STEPS)
def test_every_option_of_a_step_is_stored(adata, step):
    function, options = STEPS[step]
    function(adata, "cell_type", **options, sample_key="sample", min_cells=5)
    stored = slots.recorded(adata, "smash", step)
    assert set(inspect.signature(function).parameters) - NOT_STORED - ELSEWHERE.get(step, set()) <= set(stored)
    assert (stored["groupby"], stored["sample_key"], stored["min_cells"]) == ("cell_type", "sample", 5)


def saved(adata, path, kind):
    getattr(adata, f"write_{kind}")(path / f"cells.{kind}")
    return getattr(ad, f"read_{kind}")(path / f"cells.{kind}")


FULL = {
    "n_genes": [2, 6], "classifier": "knn", "n_splits": 2, "n_seeds": 2, "n_random": 1, "thin": [0.5],
    "dropout": 0.2, "random_state": 3, "sample_key": "sample", "min_cells": 10,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:a list that is shorter")
@pytest.mark.parametrize("kind", ["h5ad", SLOW_ZARR])
def test_an_evaluation_runs_again_from_what_is_stored(adata, tmp_path, kind):
    adata.layers["counts"] = adata.X
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    lists = {"NK/T": MIXED, "short": NOISE[:3], "again": None}
    smg.tl.evaluate(adata, "cell_type", genes=lists, layer="counts", **FULL)
    before, confusion = smg.get.evaluation_splits(adata), adata.uns["smash"]["confusion"]
    again = saved(adata, tmp_path, kind)
    options = smg.get.evaluation_options(again)
    assert options["genes"] == lists
    assert (options["n_genes"], options["thin"], options["dropout"]) == ((2, 6), (0.5,), (0.2,))
    for slot in [name for name in again.uns["smash"] if name.startswith(("evaluation", "confusion"))]:
        del again.uns["smash"][slot]
    smg.tl.evaluate(again, **options)
    pd.testing.assert_frame_equal(smg.get.evaluation_splits(again), before)
    np.testing.assert_array_equal(again.uns["smash"]["confusion"], confusion)
    assert smg.get.evaluation_options(again) == options


def test_the_defaults_run_again_too(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MIXED)
    before = smg.get.evaluation_splits(adata)
    options = smg.get.evaluation_options(adata)
    assert options["n_genes"] is None
    smg.tl.evaluate(adata, **options)
    pd.testing.assert_frame_equal(smg.get.evaluation_splits(adata), before)


def test_genes_that_a_function_chose_are_named_as_not_stored(adata):
    smg.tl.evaluate(adata, "cell_type", genes={"mine": first, "list": MIXED}, n_genes=3, n_splits=1)
    with pytest.raises(KeyError, match="genes of mine were chosen by a function"):
        smg.get.evaluation_options(adata)
    assert slots.recorded(adata, "smash", "evaluation")["by_function"] == ("mine",)


@pytest.mark.slow
def test_a_stability_runs_again_from_what_is_stored(adata, tmp_path):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    options = {"n_genes": 4, "n_resamples": 2, "n_substitutes": 2, "random_state": 5, "sample_key": "sample"}
    smg.tl.stability(adata, "cell_type", **options)
    before = smg.get.stability(adata), smg.get.substitutes(adata)
    again = saved(adata, tmp_path, "h5ad")
    stored = slots.recorded(again, "smash", "stability")
    smg.tl.stability(again, **{name: value for name, value in stored.items() if name != "halves_of"})
    for found, expected in zip((smg.get.stability(again), smg.get.substitutes(again)), before, strict=True):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_the_metrics_of_peers_run_again_from_what_is_stored(adata, tmp_path):
    markers = {"A": MIXED[:2], "B / b": NOISE[:2]}
    smg.tl.nsforest_metrics(adata, "cell_type", markers=markers, beta=0.7)
    smg.tl.spapros_metrics(adata, "cell_type", genes={"b/c": NOISE[:3], "a": MIXED}, metrics=["gene_corr"])
    before = smg.get.nsforest_metrics(adata), smg.get.spapros_metrics(adata)
    again = saved(adata, tmp_path, "h5ad")

    def lists(slot, column):
        table = again.uns["smash"][slot]
        return {str(name): rows["name"].tolist() for name, rows in table.groupby(column, sort=False, observed=True)}

    assert lists("nsforest_markers", "group") == markers
    of_markers, of_panels = (slots.recorded(again, "smash", step) for step in ("nsforest", "spapros"))
    smg.tl.nsforest_metrics(again, **of_markers, markers=lists("nsforest_markers", "group"))
    smg.tl.spapros_metrics(again, **of_panels, genes=lists("spapros_genes", "genes"))
    for found, expected in zip((smg.get.nsforest_metrics(again), smg.get.spapros_metrics(again)), before, strict=True):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
