"""Results in AnnData: what survives a file, what a later step forgets, and what stays out of other objects."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu.annotated import slots

pytestmark = pytest.mark.filterwarnings(
    "ignore:Writing zarr v2", "ignore:fewer than .* genes speak for:UserWarning", "ignore:Trying to modify attribute"
)
FEW_TREES = {"n_estimators": 10}
GROUPS = ("NK/T", "CD4+ T", "B (naïve) / plasma", "γδ T")
WRITE = {"h5ad": ad.AnnData.write_h5ad, "zarr": ad.AnnData.write_zarr}
READ = {"h5ad": ad.read_h5ad, "zarr": ad.read_zarr}


def smash(adata, groupby="cell_type", **options):
    smg.tl.smash(adata, groupby, **{"model_options": FEW_TREES} | options)


def again(adata, folder, suffix):
    WRITE[suffix](adata, folder / f"cells.{suffix}")
    return READ[suffix](folder / f"cells.{suffix}")


def assert_same(found, expected):
    """Equal values, whatever the library that holds them became in the file."""
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, check_categorical=False)
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def assert_same_results(found, expected):
    assert_same(dict(found.uns["smash"]), dict(expected.uns["smash"]))
    assert set(found.varm) == set(expected.varm)
    for name in expected.varm:
        assert found.varm[name].dtype == expected.varm[name].dtype
        np.testing.assert_array_equal(found.varm[name], expected.varm[name])
    for name in ("smash_candidate", "smash_marker"):
        assert found.var[name].dtype == bool
        np.testing.assert_array_equal(found.var[name], expected.var[name])
    pd.testing.assert_frame_equal(smg.get.markers(found), smg.get.markers(expected), check_categorical=False)
    for group in smg.get.markers_dict(expected):
        assert_same(smg.get.markers(found, group), smg.get.markers(expected, group))
    assert smg.get.markers_dict(found) == smg.get.markers_dict(expected)
    assert list(smg.get.markers_dict(found)) == list(smg.get.markers_dict(expected))
    assert smg.get.marker_panel(found, 12) == smg.get.marker_panel(expected, 12)


@pytest.fixture
def cells(rng):
    """Cells in groups whose names a file must not take for folders, with donors and broad types."""
    adata = planted(rng, groups=GROUPS, n_genes=40)
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(GROUPS[:2]), "T/NK", "other")
    return adata


RUNS = {
    "plain": {},
    "samples": {"sample_key": "sample", "min_cells_per_sample": 2},
    "within": {"within": "broad"},
    "all options": {
        "filters": {"exclude": ["NOISE20"], "keep": ["NOISE21"], "families": ["hla"], "species": "human"},
        "inverse_pca": False,
        "n_models": 2,
        "unique": True,
        "positive_only": True,
        "min_cells": 2,
    },
}


@pytest.mark.parametrize("suffix", WRITE)
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_everything_survives_a_file(cells, tmp_path, options, suffix):
    smash(cells, **options)
    smg.tl.evaluate(cells, "cell_type", genes=cells.var_names[:12])
    found = again(cells, tmp_path, suffix)
    assert_same_results(found, cells)
    pd.testing.assert_frame_equal(smg.get.evaluation(found), smg.get.evaluation(cells))
    pd.testing.assert_frame_equal(smg.get.confusion(found), smg.get.confusion(cells))
    assert smg.get.confusion(found).index.tolist() == list(GROUPS)


@pytest.mark.parametrize("suffix", WRITE)
def test_a_selection_read_from_a_file_can_be_repeated_and_judged(cells, tmp_path, suffix):
    smash(cells, sample_key="sample", filters={"exclude": ["NOISE20"]}, inverse_pca=False)
    found = again(cells, tmp_path, suffix)
    for adata in (cells, found):
        smg.tl.evaluate(adata, "cell_type", n_genes=12, n_splits=2)
    pd.testing.assert_frame_equal(smg.get.evaluation(found), smg.get.evaluation(cells))
    pd.testing.assert_frame_equal(smg.get.confusion(found), smg.get.confusion(cells))


@pytest.mark.parametrize("suffix", WRITE)
def test_the_steps_go_on_from_a_file(cells, tmp_path, suffix):
    whole = cells.copy()
    smash(whole, n_top=3)
    smg.pp.filter_genes(cells, "cell_type")
    cells = again(cells, tmp_path, suffix)
    smg.pp.inverse_pca(cells)
    smg.tl.importance(cells, "cell_type", model_options=FEW_TREES)
    cells = again(cells, tmp_path, suffix)
    smg.tl.rank_markers(cells, n_top=3)
    assert_same(smg.get.markers(cells), smg.get.markers(whole))
    assert_same(cells.uns["smash"]["filters"], whole.uns["smash"]["filters"])


@pytest.mark.parametrize("suffix", WRITE)
def test_a_selection_without_any_marker_survives_a_file(cells, tmp_path, suffix):
    smash(cells, sample_key="sample", sample_fraction=1.01)
    found = again(cells, tmp_path, suffix)
    assert len(smg.get.markers(found)) == len(smg.get.markers(cells)) == 0
    assert smg.get.markers_dict(found) == {}


@pytest.mark.parametrize("suffix", WRITE)
def test_options_of_the_model_survive_a_file_as_they_were(cells, tmp_path, suffix):
    """Whole and other numbers, a word, a switch, and None (here: all genes at every split)."""
    options = {"n_estimators": 5, "max_features": None, "ccp_alpha": 0.001, "criterion": "entropy", "bootstrap": False}
    smash(cells, model_options=options)
    found = again(cells, tmp_path, suffix)
    assert dict(slots.recorded(found, "smash", "importance")["options"]) == options


@pytest.mark.parametrize(
    "options", [{"class_weight": {0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}}, {"min_samples_leaf": np.int64(2)}], ids=str
)
def test_an_option_of_the_model_that_cannot_be_stored_is_repeated_or_said_to_be_lost(cells, options):
    smash(cells, model_options=FEW_TREES | options)
    try:
        smg.tl.evaluate(cells, "cell_type", n_genes=8, n_splits=1)
    except ValueError as error:
        assert "genes=" in str(error)
    else:
        assert smg.get.evaluation(cells).loc["n_genes", "mean"] == 8


def test_settings_of_the_network_are_repeated_or_said_to_be_lost(cells):
    pytest.importorskip("torch")
    from smash_gpu.models.network import Training

    smash(cells, model="dnn", model_options={"training": Training(max_epochs=1), "max_explained": 20})
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
    assert "sample_key" not in cells.uns["smash"]["params"]["source"]
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
