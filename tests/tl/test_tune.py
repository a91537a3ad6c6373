"""`tl.tune` finds options, keeps them with the data, and `tl.smash` uses them."""

from __future__ import annotations

import inspect
import json
import sys

import anndata as ad
import pytest
from cells import SLOW_ZARR

import smash_gpu as smg
from smash_gpu.annotated import of_tuning, slots
from smash_gpu.models.search import defaults

FIXED = {"n_estimators": 5}
HOW = {"model": "xgboost", "n_trials": 3, "model_options": FIXED}


def has_optuna():
    pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")


@pytest.fixture
def tuned(adata):
    has_optuna()
    smg.tl.tune(adata, "cell_type", **HOW)
    return adata


def with_best(adata, model="xgboost", **options):
    """As if the search had found these."""
    slot = of_tuning.slot_of("smash")
    params = slots.recorded(adata, slot, model) | {"best_options": json.dumps(options)}
    slots.record(adata, slot, model, params)


def test_the_table_has_the_defaults_first_and_one_row_per_trial(tuned):
    table = smg.get.tuning(tuned)
    space = smg.models.MODELS["xgboost"].search
    assert table.columns.tolist() == ["model", "number", "value", "seconds", "error", *space]
    assert table["number"].tolist() == [0, 1, 2]
    assert table[list(space)].iloc[0].to_dict() == defaults(space)
    assert table["value"].between(0, 1).all() and (table["seconds"] > 0).all() and (table["error"] == "").all()


def test_the_best_options_are_those_of_the_best_trial_and_the_given_ones(tuned):
    table, found = smg.get.tuning(tuned), smg.get.tuned_options(tuned, "xgboost")
    best, space = table.loc[table["value"].idxmax()], smg.models.MODELS["xgboost"].search
    assert found == FIXED | {name: best[name] for name, one in space.items() if best[name] != one.default}


@pytest.mark.slow
def test_smash_uses_them_and_says_so(tuned):
    with_best(tuned, **FIXED, max_depth=2)
    smg.tl.smash(tuned, "cell_type", model="xgboost", n_top=3, model_options="tuned")
    recorded = slots.recorded(tuned, "smash", "importance")
    assert recorded["options"] == {"n_estimators": 5, "max_depth": 2}
    assert recorded["tuned"]
    expected = tuned.copy()
    smg.tl.smash(expected, "cell_type", model="xgboost", n_top=3, model_options=FIXED | {"max_depth": 2})
    assert smg.get.markers(tuned).equals(smg.get.markers(expected))
    assert "options tuned: n_estimators = 5, max_depth = 2" in smg.report.page(tuned)
    assert "options tuned" not in smg.report.page(expected)
    smg.tl.importance(tuned, "cell_type", model="xgboost", model_options="tuned")
    assert slots.recorded(tuned, "smash", "importance") == recorded


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("kind", ["h5ad", SLOW_ZARR])
def test_they_survive_a_file_and_a_selection(tuned, tmp_path, kind):
    with_best(tuned, max_depth=2, max_delta_step=None)
    before = smg.get.tuning(tuned)
    smg.tl.smash(tuned, "cell_type", n_top=3, model_options={"n_estimators": 10})
    getattr(tuned, f"write_{kind}")(tmp_path / f"x.{kind}")
    again = getattr(ad, f"read_{kind}")(tmp_path / f"x.{kind}")
    assert smg.get.tuning(again).equals(before)
    assert smg.get.tuned_options(again, "xgboost") == {"max_depth": 2, "max_delta_step": None}
    with_best(again, max_depth=2)
    smg.tl.smash(again, "cell_type", model="xgboost", n_top=3, model_options="tuned")
    assert slots.recorded(again, "smash", "importance")["options"] == {"max_depth": 2}


def test_several_models_stand_side_by_side_and_one_again_replaces_its_rows(tuned):
    smg.tl.tune(tuned, "cell_type", model="rf", n_trials=2, model_options=FIXED)
    smg.tl.tune(tuned, "cell_type", model="xgboost", n_trials=1, model_options=FIXED)
    assert smg.get.tuning(tuned)["model"].tolist() == ["rf", "rf", "xgboost"]
    assert smg.get.tuning(tuned, "rf").columns[5:].tolist() == list(smg.models.MODELS["rf"].search)
    with pytest.raises(KeyError, match=r"no tuned options of the model 'brf'; run tl\.tune\(.*model='brf'\).*rf, xgb"):
        smg.get.tuning(tuned, "brf")


def test_a_path_is_read_with_its_tuned_options(tuned, tmp_path):
    with_best(tuned, **FIXED)
    tuned.write_h5ad(tmp_path / "x.h5ad")
    found = smg.tl.smash(tmp_path / "x.h5ad", "cell_type", model="xgboost", n_top=3, model_options="tuned")
    assert slots.recorded(found, "smash", "importance")["options"] == FIXED


@pytest.mark.slow
def test_a_killed_call_goes_on(adata, tmp_path, monkeypatch):
    has_optuna()
    from smash_gpu.selection import tuning

    f1_macro, calls = tuning.f1_macro, []

    def stops(*arguments, **options):
        calls.append(options)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return f1_macro(*arguments, **options)

    monkeypatch.setattr(tuning, "f1_macro", stops)
    with pytest.raises(KeyboardInterrupt):
        smg.tl.tune(adata, "cell_type", **HOW | {"n_trials": 4}, work=tmp_path)
    assert of_tuning.slot_of("smash") not in adata.uns
    smg.tl.tune(adata, "cell_type", **HOW | {"n_trials": 4}, work=tmp_path)
    assert len(calls) == 3 + 2
    calm = adata.copy()
    smg.tl.tune(calm, "cell_type", **HOW | {"n_trials": 4})
    columns = ["seconds"]
    assert smg.get.tuning(adata).drop(columns=columns).equals(smg.get.tuning(calm).drop(columns=columns))


def test_without_tuning_the_error_says_what_to_do(adata):
    with pytest.raises(KeyError, match=r"no tuned options of the model 'rf'; run tl\.tune.* Or pass model_options="):
        smg.tl.smash(adata, "cell_type", model_options="tuned")
    with pytest.raises(KeyError, match="run tl.tune first"):
        smg.get.tuning(adata)
    assert of_tuning.slot_of("smash") not in adata.uns


@pytest.mark.parametrize("function", [smg.tl.smash, smg.tl.importance])
def test_another_word_is_an_error(adata, function):
    with pytest.raises(ValueError, match=r"model_options='tune' is not one of tuned\. Did you mean 'tuned'"):
        function(adata, "cell_type", model_options="tune")
    with pytest.raises(ValueError, match="needs a model given by name"):
        function(adata, "cell_type", model=smg.models.Boosted(), model_options="tuned")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "rff"}, ValueError, "model='rff' is not one of rf, .*Did you mean 'rf'"),
        (
            {"model": smg.models.Boosted(), "model_options": {}},
            ValueError,
            r"a model object \(here Boosted\) cannot be tuned",
        ),
        ({"model_options": {"max_dept": 3}}, TypeError, "has no option 'max_dept'.*Did you mean 'max_depth'"),
        ({"n_trials": 0}, ValueError, "n_trials=0 must be at least 1"),
        ({"timeout": -1}, ValueError, "timeout=-1 must be a positive number of seconds"),
        ({"filters": {"min_fractoin": 1}}, TypeError, "Did you mean 'min_fraction'"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_computed(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.tune(adata, "cell_type", **HOW | options)
    assert not adata.uns


def test_another_label_column_or_other_cells_are_a_warning(tuned):
    tuned.obs["other"] = tuned.obs["cell_type"]
    how = {"model": "xgboost", "n_top": 3, "model_options": "tuned"}
    with pytest.warns(UserWarning, match="were tuned for the column 'cell_type', not for 'other'"):
        smg.tl.smash(tuned, "other", **how)
    with pytest.warns(UserWarning, match=r"tuned on other data: .*since\. Run tl\.tune again"):
        smg.tl.smash(tuned[::2].copy(), "cell_type", **how)


@pytest.mark.filterwarnings("ignore:found fewer than")
def test_an_evaluation_of_tuned_options_is_said_to_be_optimistic(tuned):
    smg.tl.smash(tuned, "cell_type", model="xgboost", model_options="tuned")
    with pytest.warns(UserWarning, match="were tuned on these cells, held-out cells included.*optimistic"):
        smg.tl.evaluate(tuned, "cell_type", n_genes=3, n_splits=1)


def test_every_option_is_stored(tuned):
    """All but those that change no result."""
    stored = slots.recorded(tuned, of_tuning.slot_of("smash"), "xgboost")
    parameters = set(inspect.signature(smg.tl.tune).parameters)
    assert parameters - {"adata", "memory", "work", "key"} <= set(stored)


def test_without_optuna_the_extra_is_named(adata, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"tuning needs Optuna .*pip install 'smash-gpu\[tune\]'"):
        smg.tl.tune(adata, "no such column", **HOW, work="nowhere")  # before anything else is looked at


def test_tuned_options_are_not_tuned_again(adata):
    with pytest.raises(TypeError, match=r"cannot be used in tl\.tune: .*is for tl\.smash"):
        smg.tl.tune(adata, "cell_type", model="rf", n_trials=1, model_options="tuned")
