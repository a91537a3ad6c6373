"""Slots: what a later step forgets, and what stays out of other objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.slots import FEW_TREES, GROUPS, assert_same, smash

import smash_gpu as smg
from smash_gpu.annotated import slots

pytestmark = pytest.mark.filterwarnings(
    "ignore:Writing zarr v2", "ignore:found fewer than .* markers for:UserWarning", "ignore:Trying to modify attribute"
)


def test_results_under_another_name_stand_beside_the_first(cells):
    smash(cells)
    first = cells.copy()
    smash(cells, n_top=2, model="brf", key="other")
    assert_same(dict(cells.uns["smash"]), dict(first.uns["smash"]))
    np.testing.assert_array_equal(cells.varm["smash"], first.varm["smash"])
    assert {"other_candidate", "other_marker"} <= set(cells.var)
    assert len(smg.get.markers(cells, key="other")) == 2 * len(GROUPS)
    smg.tl.evaluate(cells, "cell_type", n_genes=8, n_splits=2, key="other")
    assert "evaluation" not in cells.uns["smash"]
    assert smg.get.evaluation(cells, key="other").loc["n_genes", "mean"] == 8


def test_the_steps_one_by_one_under_another_name_leave_the_first(cells):
    smg.pp.filter_genes(cells, "cell_type", key="other")
    smg.pp.inverse_pca(cells, key="other")
    smg.tl.importance(cells, "cell_type", model_options=FEW_TREES, key="other")
    smg.tl.rank_markers(cells, key="other")
    assert set(cells.uns) == {"other"}
    assert all(name.startswith("other") for name in [*cells.varm, *cells.var])
    assert len(smg.get.marker_panel(cells, 5, key="other")) == 5


@pytest.mark.parametrize(
    "step",
    [
        lambda adata: smg.tl.evaluate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"]),
        lambda adata: smg.tl.rank_markers(adata, n_top=1),
        lambda adata: smg.tl.importance(adata, "cell_type", model_options=FEW_TREES, random_state=9),
        lambda adata: smg.pp.inverse_pca(adata, n_top=1, variance=0.1),
        lambda adata: smg.pp.filter_genes(adata, "cell_type", exclude=["MARKER0X"]),
        smash,
    ],
    ids=["tl.evaluate", "tl.rank_markers", "tl.importance", "pp.inverse_pca", "pp.filter_genes", "tl.smash"],
)
def test_a_step_on_a_view_does_not_write_to_the_whole(cells, step):
    smash(cells)
    before = cells.copy()
    view = cells[:150]
    step(view)
    assert_same(dict(cells.uns["smash"]), dict(before.uns["smash"]))
    pd.testing.assert_frame_equal(cells.var, before.var)
    for name in before.varm:
        np.testing.assert_array_equal(cells.varm[name], before.varm[name])
    assert repr(view.uns["smash"]) != repr(before.uns["smash"])


def test_what_get_returns_is_not_the_slot(cells):
    smash(cells)
    smg.tl.evaluate(cells, "cell_type", genes=["MARKER0X", "MARKER1X"], n_splits=1)
    before = cells.copy()
    tables = [smg.get.markers(cells), smg.get.markers(cells, GROUPS[0]), smg.get.evaluation(cells)]
    for table in [*tables, smg.get.confusion(cells)]:
        table.iloc[:, -1] = 0
    assert_same(dict(cells.uns["smash"]), dict(before.uns["smash"]))


def test_a_new_selection_forgets_the_old_one(cells):
    smash(cells, n_models=2, sample_key="sample")
    smg.tl.evaluate(cells, "cell_type", n_genes=8)
    smash(cells, model="brf")
    assert "evaluation" not in cells.uns["smash"]
    assert slots.recorded(cells, "smash")["sample_key"] is None
    assert "smash_spread" not in cells.varm
    assert "samples" not in smg.get.markers(cells)


def test_new_filters_forget_the_scores_of_an_earlier_selection(cells):
    smash(cells)
    smg.pp.filter_genes(cells, "broad")
    with pytest.raises(KeyError, match=r"tl\.importance"):
        smg.tl.rank_markers(cells)
    with pytest.raises(KeyError, match=r"tl\.importance"):
        smg.get.marker_panel(cells, 5)
    assert "smash_marker" not in cells.var


def test_new_scores_forget_which_genes_were_eligible_before(cells):
    """A panel straight after new scores: of other groups, and of more candidates than before."""
    smash(cells, filters={"exclude": [f"NOISE{i}" for i in range(20, 40)]})
    for groupby in ("broad", "cell_type"):
        smg.pp.filter_genes(cells, groupby)
        smg.tl.importance(cells, groupby, model_options=FEW_TREES)
        with pytest.raises(KeyError, match=r"tl\.rank_markers"):
            smg.get.marker_panel(cells, 5)
        smg.tl.rank_markers(cells)
        n_scored = int(cells.var["smash_candidate"].sum())
        assert len(smg.get.marker_panel(cells, n_scored)) == n_scored


def test_new_scores_after_a_selection_inside_broad_groups_can_be_ranked(cells):
    smash(cells, within="broad")
    smg.tl.importance(cells, "cell_type", model_options=FEW_TREES)
    smg.tl.rank_markers(cells, n_top=2)
    assert list(smg.get.markers_dict(cells)) == list(GROUPS)


def test_a_selection_inside_broad_groups_is_not_ranked_anew_by_mistake(cells):
    smash(cells, within="broad")
    with pytest.raises(ValueError, match=r"tl\.smash\(within="):
        smg.tl.rank_markers(cells)


def test_markers_are_those_marked_and_candidates_those_scored(cells):
    smash(cells)
    assert set(cells.var_names[cells.var["smash_marker"]]) == set(smg.get.markers(cells)["name"])
    np.testing.assert_array_equal(cells.var["smash_candidate"], ~np.isnan(cells.varm["smash"]).any(axis=1))
    assert cells.var["smash_candidate"][cells.var["smash_marker"]].all()


def test_markers_dict_goes_into_scanpy_and_is_cut_to_n_top(cells):
    smash(cells, n_top=4)
    whole, two = smg.get.markers_dict(cells), smg.get.markers_dict(cells, 2)
    assert list(whole) == list(GROUPS)
    assert {group: names[:2] for group, names in whole.items()} == two
    assert all(isinstance(name, str) for names in whole.values() for name in names)
    for group, names in whole.items():
        assert smg.get.markers(cells, group)["name"].tolist() == names
        assert smg.get.markers(cells, group)["rank"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["None", "'None'", '"None"', "\"'None'\"", "none", "nan"])
def test_a_layer_or_column_that_is_called_none_is_not_read_as_none(cells, tmp_path, name):
    cells.layers[name] = cells.X.copy()
    cells.obs[name] = cells.obs["sample"]
    cells.X = cells.X * np.float32(0)
    smg.pp.filter_genes(cells, "cell_type", layer=name, sample_key=name)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    for adata in (cells, smg.read(tmp_path / "cells.h5ad")):
        found = slots.source(adata, "smash")
        assert (found["layer"], found["sample_key"], found["batch_key"]) == (name, name, None)
        smg.tl.importance(adata, "cell_type", model_options=FEW_TREES)
