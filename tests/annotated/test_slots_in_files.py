"""Slots survive a file, and the next steps go on from it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.slots import FEW_TREES, GROUPS, assert_same, smash
from cells import SLOW_ZARR

import smash_gpu as smg
from smash_gpu.annotated import slots

pytestmark = pytest.mark.filterwarnings(
    "ignore:Writing zarr v2", "ignore:found fewer than .* markers for:UserWarning", "ignore:Trying to modify attribute"
)


WRITE = {"h5ad": ad.AnnData.write_h5ad, "zarr": ad.AnnData.write_zarr}
READ = {"h5ad": ad.read_h5ad, "zarr": ad.read_zarr}


def again(adata, folder, suffix):
    WRITE[suffix](adata, folder / f"cells.{suffix}")
    return READ[suffix](folder / f"cells.{suffix}")


def assert_same_results(found, expected):
    assert_same(dict(found.uns["smash"]), dict(expected.uns["smash"]))
    assert set(found.varm) == set(expected.varm)
    for name in expected.varm:
        assert found.varm[name].dtype == expected.varm[name].dtype
        np.testing.assert_array_equal(found.varm[name], expected.varm[name])
    for name in ("smash_candidate", "smash_marker"):
        assert found.var[name].dtype == bool
        np.testing.assert_array_equal(found.var[name], expected.var[name])
    assert found.var["smash_importance"].dtype == np.float32
    np.testing.assert_array_equal(found.var["smash_importance"], expected.var["smash_importance"])
    pd.testing.assert_frame_equal(smg.get.markers(found), smg.get.markers(expected), check_categorical=False)
    for group in smg.get.markers_dict(expected):
        assert_same(smg.get.markers(found, group), smg.get.markers(expected, group))
    assert smg.get.markers_dict(found) == smg.get.markers_dict(expected)
    assert list(smg.get.markers_dict(found)) == list(smg.get.markers_dict(expected))
    assert smg.get.marker_panel(found, 12) == smg.get.marker_panel(expected, 12)


RUNS = {
    "plain": {},
    "samples": {"sample_key": "sample", "min_cells_per_sample": 2},
    "within": {"within": "broad"},
    "consensus": {"model": ["rf", "xgboost"], "model_options": {"rf": FEW_TREES}, "within": "broad", "n_models": 2},
    "all options": {
        "filters": {"exclude": ["NOISE20"], "keep": ["NOISE21"], "families": ["hla"], "species": "human"},
        "inverse_pca": True,
        "n_models": 2,
        "unique": True,
        "positive_only": True,
        "min_cells": 2,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_everything_survives_a_file(cells, tmp_path, options, suffix):
    smash(cells, **options)
    smg.tl.evaluate(cells, "cell_type", genes=cells.var_names[:12])
    found = again(cells, tmp_path, suffix)
    assert_same_results(found, cells)
    pd.testing.assert_frame_equal(smg.get.evaluation(found), smg.get.evaluation(cells))
    pd.testing.assert_frame_equal(smg.get.confusion(found), smg.get.confusion(cells))
    assert smg.get.confusion(found).index.tolist() == list(GROUPS)


@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
def test_a_selection_read_from_a_file_can_be_repeated_and_judged(cells, tmp_path, suffix):
    smash(cells, sample_key="sample", filters={"exclude": ["NOISE20"]})
    found = again(cells, tmp_path, suffix)
    for adata in (cells, found):
        smg.tl.evaluate(adata, "cell_type", n_genes=12, n_splits=2)
    pd.testing.assert_frame_equal(smg.get.evaluation(found), smg.get.evaluation(cells))
    pd.testing.assert_frame_equal(smg.get.confusion(found), smg.get.confusion(cells))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
def test_the_steps_go_on_from_a_file(cells, tmp_path, suffix):
    whole = cells.copy()
    smash(whole, n_top=3, inverse_pca=True)
    smg.pp.filter_genes(cells, "cell_type")
    cells = again(cells, tmp_path, suffix)
    smg.pp.inverse_pca(cells)
    cells = again(cells, tmp_path, suffix)
    smg.tl.importance(cells, "cell_type", model_options=FEW_TREES)
    cells = again(cells, tmp_path, suffix)
    smg.tl.rank_markers(cells, n_top=3)
    assert_same(smg.get.markers(cells), smg.get.markers(whole))
    assert_same(cells.uns["smash"]["filters"], whole.uns["smash"]["filters"])


@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
def test_a_selection_without_any_marker_survives_a_file(cells, tmp_path, suffix):
    smash(cells, sample_key="sample", sample_fraction=1.01)
    found = again(cells, tmp_path, suffix)
    assert len(smg.get.markers(found)) == len(smg.get.markers(cells)) == 0
    assert smg.get.markers_dict(found) == {}


@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
def test_options_of_the_model_survive_a_file_as_they_were(cells, tmp_path, suffix):
    """Whole and other numbers, a word, a switch, and None (here: all genes at every split)."""
    options = {"n_estimators": 5, "max_features": None, "ccp_alpha": 0.001, "criterion": "entropy", "bootstrap": False}
    smash(cells, model_options=options)
    found = again(cells, tmp_path, suffix)
    assert dict(slots.recorded(found, "smash", "importance")["options"]) == options


def one_epoch():
    pytest.importorskip("torch")
    from smash_gpu.models.network import Training

    return {"model": "dnn", "model_options": {"training": Training(max_epochs=1), "max_explained": 20}}


NOT_STORED = {
    "a dictionary with numbers": lambda: {
        "model_options": FEW_TREES | {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}}
    },
    "a number of NumPy": lambda: {"model_options": FEW_TREES | {"min_samples_leaf": np.int64(2)}},
    "settings of the network": one_epoch,
}


@pytest.mark.parametrize("options", NOT_STORED.values(), ids=NOT_STORED)
def test_an_option_of_the_model_that_cannot_be_stored_is_repeated_or_said_to_be_lost(cells, options):
    smash(cells, **options())
    try:
        smg.tl.evaluate(cells, "cell_type", n_genes=8, n_splits=1)
    except ValueError as error:
        assert "genes=" in str(error)
    else:
        assert smg.get.evaluation(cells).loc["n_genes", "mean"] == 8


def test_everything_needed_to_run_it_again_is_noted(cells):
    smash(cells, sample_key="sample", random_state=4, n_top=3, filters={"exclude": ["NOISE20"]})
    other = cells[:, :].copy()
    del other.uns["smash"]
    noted = {step: slots.recorded(cells, "smash", step) for step in cells.uns["smash"]["params"]}
    filters, ranking, how = noted["filters"], noted["ranking"], noted["importance"]
    smg.tl.smash(
        other, filters=filters, model=how["model"], model_options=how["options"], random_state=how["random_state"],
        n_models=how["n_models"], **ranking, **noted["source"],
    )  # fmt: skip
    assert_same_results(other, cells)
    assert noted["versions"]["smash-gpu"] == smg.__version__
    assert {"numpy", "scikit-learn", "anndata"} <= set(noted["versions"])
