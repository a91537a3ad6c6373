"""Several models in one selection: ranks are put together, and what each model says alone stays known."""

from __future__ import annotations

import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.models import Means
from cases.slots import assert_same
from cells import Kind

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.models import MODELS
from smash_gpu.models.forest import random_forest
from smash_gpu.selection import consensus, several

OPTIONS = {"rf": {"n_estimators": 10}, "xgboost": {"n_estimators": 5}}
BOTH = {"model": ["rf", "xgboost"], "model_options": OPTIONS}


def smash(adata, **options):
    smg.tl.smash(adata, "cell_type", **BOTH | options)
    return adata


def alone(adata, name, **options):
    other = ad.AnnData(adata.X.copy(), obs=adata.obs.copy(), var=adata.var[[]].copy())
    smg.tl.smash(other, "cell_type", model=name, model_options=OPTIONS[name], **options)
    return other


@pytest.mark.parametrize("kind", [list, tuple])
def test_one_model_in_a_list_is_that_model(adata, kind):
    other = alone(adata, "rf")
    smash(adata, model=kind(["rf"]), model_options={"rf": OPTIONS["rf"]})
    assert set(adata.varm) == set(other.varm)
    for name in other.varm:
        np.testing.assert_array_equal(adata.varm[name], other.varm[name])
    assert_same(adata.uns["smash"], other.uns["smash"])


@pytest.mark.parametrize("n_models", [1, 2])
def test_the_score_is_the_mean_of_reciprocal_ranks_of_what_each_says_alone(adata, n_models):
    each = [alone(adata, name, n_models=n_models) for name in OPTIONS]
    smash(adata, n_models=n_models)
    mean, spread = consensus.combined(np.stack([one.varm["smash"].T for one in each]))
    np.testing.assert_array_equal(adata.varm["smash"], mean.T.astype(np.float32))
    np.testing.assert_array_equal(adata.varm["smash_spread"], spread.T.astype(np.float32))
    assert adata.varm["smash"].dtype == np.float32
    for name, one in zip(OPTIONS, each, strict=True):
        np.testing.assert_array_equal(adata.varm[f"smash_score_{name}"], one.varm["smash"])
    overall, _ = consensus.combined(np.stack([one.var["smash_importance"] for one in each]))
    np.testing.assert_array_equal(adata.var["smash_importance"], overall.astype(np.float32))
    assert len(set(smg.get.marker_panel(adata, 9))) == 9


def test_agreement_is_the_share_of_models_that_have_the_marker_themselves(adata):
    each = {name: alone(adata, name, n_top=4) for name in OPTIONS}
    table = smg.get.markers(smash(adata, n_top=4)).astype({"group": str})
    for row in table.to_dict("records"):
        of_each = {name: smg.get.markers_dict(one)[row["group"]] for name, one in each.items()}
        assert row["agreement"] == np.mean([row["name"] in genes for genes in of_each.values()])
        for name, genes in of_each.items():
            if row["name"] in genes:
                assert row[f"rank_{name}"] == genes.index(row["name"]) + 1
            else:
                assert row[f"rank_{name}"] > 4 or len(genes) < 4
    assert 0 < table["agreement"].mean() < 1


def test_accuracy_names_each_model_and_its_seed(adata):
    each = {name: smg.get.accuracy(alone(adata, name, n_models=2, random_state=5)) for name in OPTIONS}
    table = smg.get.accuracy(smash(adata, n_models=2, random_state=5))
    assert table["model"].drop_duplicates().tolist() == [1, 2, 3, 4]
    for name, one in each.items():
        assert one["name"].unique().tolist() == [name]
        pd.testing.assert_frame_equal(
            table[table["name"] == name].reset_index(drop=True).drop(columns="model"), one.drop(columns="model")
        )
        assert one["seed"].unique().tolist() == [5, 6]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_a_consensus_survives_a_file_and_goes_on_from_there(adata, tmp_path, suffix):
    smash(adata, n_top=3, n_models=2)
    getattr(adata, f"write_{suffix}")(tmp_path / f"cells.{suffix}")
    found = getattr(ad, f"read_{suffix}")(tmp_path / f"cells.{suffix}")
    assert_same(dict(found.uns["smash"]), dict(adata.uns["smash"]))
    assert set(found.varm) == set(adata.varm)
    pd.testing.assert_frame_equal(smg.get.accuracy(found), smg.get.accuracy(adata))
    for cells in (found, adata):
        smg.tl.rank_markers(cells, n_top=2)
        smg.tl.evaluate(cells, "cell_type", n_genes=3, n_splits=2)
    pd.testing.assert_frame_equal(smg.get.markers(found), smg.get.markers(adata))
    pd.testing.assert_frame_equal(smg.get.evaluation(found), smg.get.evaluation(adata))
    smg.tl.stability(found, "cell_type", n_genes=3, n_resamples=2)
    assert len(smg.get.stability(found))


def test_the_steps_one_by_one_are_the_consensus(adata):
    other = adata.copy()
    smash(adata, n_top=3)
    smg.pp.filter_genes(other, "cell_type")
    smg.tl.importance(other, "cell_type", **BOTH)
    smg.tl.rank_markers(other, n_top=3)
    pd.testing.assert_frame_equal(smg.get.markers(other), smg.get.markers(adata))
    assert slots.recorded(other, "smash", "importance") == slots.recorded(adata, "smash", "importance")


def test_another_selection_leaves_nothing_of_a_consensus(adata):
    other = alone(adata, "rf")
    smash(adata)
    smg.tl.smash(adata, "cell_type", model="rf", model_options=OPTIONS["rf"])
    assert set(adata.varm) == set(other.varm)
    assert_same(adata.uns["smash"], other.uns["smash"])


@pytest.mark.slow
def test_within_two_levels_with_samples_and_batches(adata):
    pytest.importorskip("harmonypy")
    high = np.asarray(adata.X[:, 40].todense()).ravel() > 0
    adata.obs["fine"] = adata.obs["cell_type"].astype(str) + np.where(high, " 1", " 2")
    adata.obs["lane"] = pd.Categorical(np.array(["a", "b"])[np.arange(adata.n_obs) % 2])
    columns = {"within": "cell_type", "sample_key": "sample", "batch_key": "lane"}
    smg.tl.smash(adata, "fine", n_top=2, n_models=2, **BOTH, **columns)
    table, groups = smg.get.markers(adata), adata.uns["smash"]["groups"]
    assert {"within", "samples", "agreement", "rank_rf", "rank_xgboost"} <= set(table)
    assert len(groups) == 6
    assert adata.varm["smash_score_rf"].shape == adata.varm["smash"].shape == (adata.n_vars, 6)
    assert smg.get.accuracy(adata).groupby("name", sort=False).size().to_dict() == dict.fromkeys(OPTIONS, 12)
    part = adata[adata.obs["cell_type"] == "A"].copy()
    smg.tl.smash(part, "fine", n_models=2, **BOTH, batch_key="lane", filters={"species": "human"})
    for name in ("smash", "smash_score_rf", "smash_score_xgboost"):
        np.testing.assert_array_equal(adata.varm[name][:, :2], part.varm[name])


@pytest.mark.filterwarnings("ignore:model Means")
def test_objects_are_named_after_their_class_and_numbered_if_it_is_the_same(adata):
    smash(adata, model=["rf", Means()], model_options={"rf": OPTIONS["rf"]})
    assert {"rank_rf", "rank_Means"} <= set(smg.get.markers(adata))
    assert slots.recorded(adata, "smash", "importance")["model"] == ("rf", "Means")
    assert f"Means: {Means.facts.score_in_words}" in smg.report.page(adata, figures=False)
    forests = [random_forest(n_estimators=5, random_state=seed) for seed in (0, 1)]
    smash(adata, model=forests, model_options=None)
    names = [f"{type(forests[0]).__name__} {number}" for number in (1, 2)]
    assert smg.get.accuracy(adata)["name"].unique().tolist() == names
    assert smg.report.page(adata, figures=False).count(names[1]) > 1
    with pytest.raises(ValueError, match="own model object"):
        smg.tl.evaluate(adata, "cell_type")


REFUSED = {
    "none": ({"model": []}, ValueError, "empty list; name one or more of rf, brf"),
    "twice": ({"model": ["rf", "xgboost", "rf"]}, ValueError, "'rf' twice.*n_models="),
    "misspelled": ({"model": ["rf", "xgbost"]}, ValueError, "Did you mean 'xgboost'"),
    "options of all": ({"model_options": {"n_estimators": 5}}, TypeError, r"not one of the models rf, xgboost.*\{'rf'"),
    "options of a misspelled": ({"model_options": {"xgbost": {}}}, TypeError, "Did you mean 'xgboost'"),
    "a number": ({"model_options": {"rf": 5}}, TypeError, r"model_options\['rf'\]=5 must be a mapping"),
    "an unknown option": ({"model_options": {"rf": {"max_dept": 5}}}, TypeError, "'rf' has no option.*'max_depth'"),
    "objects and seeds": ({"model": ["rf", Means()], "n_models": 2, "model_options": None}, ValueError, "new seeds"),
    "not a model": ({"model": ["rf", object()], "model_options": None}, TypeError, "lacks fit, importance, predict"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("step", [smg.tl.smash, smg.tl.importance])
def test_what_cannot_be_is_refused(adata, step, options, kind, message):
    with pytest.raises(kind, match=message):
        step(adata, "cell_type", **BOTH | options)
    assert "smash" not in adata.varm


def test_each_model_is_tuned_alone_and_their_options_used_together(adata):
    pytest.importorskip("optuna")
    with pytest.raises(ValueError, match="one at a time: call tl.tune for each of rf, xgboost"):
        smg.tl.tune(adata, "cell_type", model=["rf", "xgboost"])
    for name, options in OPTIONS.items():
        smg.tl.tune(adata, "cell_type", model=name, n_trials=2, model_options=options)
    smash(adata, model_options="tuned")
    tuned = {name: smg.get.tuned_options(adata, name) for name in OPTIONS}
    assert slots.recorded(adata, "smash", "importance")["options"] == tuned
    assert "options tuned" in smg.report.page(adata, figures=False)
    with pytest.raises(ValueError, match="by name"):
        smash(adata, model=["rf", Means()], model_options="tuned")


def test_the_same_object_twice_is_refused():
    model = Means()
    with pytest.raises(ValueError, match="'Means' twice"):
        several.as_list([model, model])


@pytest.mark.slow
def test_the_options_of_the_paper_for_a_list(adata):
    options = smg.paper(["xgboost", "rf"])
    each = {name: smg.paper(name) for name in ("xgboost", "rf")}
    assert options["model_options"] == {name: one["model_options"] for name, one in each.items()}
    assert {**options, "model": "rf", "model_options": each["rf"]["model_options"]} == each["rf"]
    smg.tl.smash(adata, "cell_type", **options)
    assert slots.recorded(adata, "smash", "importance")["options"] == options["model_options"]


def test_each_model_is_kept_apart_in_the_work_folder(adata, tmp_path):
    from smash_gpu.data.stages import Work

    def notices(**options):
        seen = []
        smg.tl.smash(adata, "cell_type", work=Work(tmp_path, seen.append), **options)
        return {one.stage: one.found for one in seen if one.stage.startswith("scores")}

    of_rf, of_xgboost = (f"scores of {name}, seed 0" for name in OPTIONS)
    assert notices(model="rf", model_options=OPTIONS["rf"]) == {of_rf: False}
    assert notices(**BOTH) == {of_rf: True, of_xgboost: False}
    before = smg.get.markers(adata)
    assert notices(**BOTH) == {of_rf: True, of_xgboost: True}
    pd.testing.assert_frame_equal(smg.get.markers(adata), before)
    assert notices(model="xgboost", model_options=OPTIONS["xgboost"]) == {of_xgboost: True}


def test_a_run_that_stops_at_the_second_model_goes_on_from_there(adata, tmp_path, monkeypatch):
    from smash_gpu.data.stages import Work
    from smash_gpu.models import boosted

    calm = smg.get.markers(smash(adata.copy()))
    with monkeypatch.context() as patch:
        patch.setattr(boosted.Boosted, "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            smash(adata, work=tmp_path)
    seen = []
    smash(adata, work=Work(tmp_path, seen.append))
    assert {one.stage: one.found for one in seen if one.stage.startswith("scores")} == {
        "scores of rf, seed 0": True,
        "scores of xgboost, seed 0": False,
    }
    pd.testing.assert_frame_equal(smg.get.markers(adata), calm)


def test_only_the_model_that_fails_is_named_and_few_cells_once(adata):
    rare = np.flatnonzero(adata.obs["cell_type"] == "A")[8:]
    adata = adata[np.setdiff1d(np.arange(adata.n_obs), rare)].copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        smash(adata, model=["rf", Means()], model_options={"rf": OPTIONS["rf"]}, n_top=3)
    said = [str(one.message) for one in caught]
    assert [text[:11] for text in said if "held-out cells right" in text] == ["model Means"]
    assert sum("fewer than 10 training cells of A" in text for text in said) == 1


def test_a_designed_panel_takes_the_importance_of_the_consensus_as_weights(adata):
    smash(adata)
    smg.tl.panel(adata, "cell_type", n_genes=6, weights="smash")
    panel = smg.get.panel(adata)
    assert len(panel) == 6
    assert (adata.var["smash_importance"][panel] > 0).all()


def test_a_model_whose_name_no_file_can_hold_is_refused_in_a_list(adata, monkeypatch):
    monkeypatch.setitem(MODELS, "a/b", MODELS["rf"])
    with pytest.raises(ValueError, match=r"model lists 'a/b', but h5ad and zarr hold no name with / in it"):
        smg.tl.smash(adata, "cell_type", model=["a/b", "rf"])


def test_each_model_says_how_right_it_is(adata, caplog):
    caplog.set_level(logging.INFO, logger="smash_gpu")
    smash(adata)
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert all(f"Model {name}: " in said for name in OPTIONS)


@pytest.mark.slow
@pytest.mark.container(skip=Kind.STAND_IN)
def test_every_kind_of_matrix_gives_the_same_consensus(adata, hold):
    held = ad.AnnData(hold(adata.X), obs=adata.obs, var=adata.var[[]])
    smash(held)
    smash(adata)
    assert smg.get.markers_dict(held) == smg.get.markers_dict(adata)
    np.testing.assert_array_equal(held.varm["smash"], adata.varm["smash"])


def test_the_report_names_the_models_and_shows_where_they_agree(adata):
    smash(adata, n_top=3)
    page = smg.report.page(adata, figures=False)
    assert "model rf + xgboost" in page
    assert consensus.IN_WORDS in page
    for column in ("agreement", "rank in rf", "rank in xgboost"):
        assert column in page


def test_the_figure_says_that_it_shows_a_consensus(adata):
    label = smg.pl.importance(smash(adata)).get_xlabel()
    assert label == "|consensus of rf, xgboost|, summed over classes"
