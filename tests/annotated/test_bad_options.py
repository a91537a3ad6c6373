"""Options that cannot work are named before anything is computed, with the word that was meant."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from cases.steps import FEW_TREES, assert_untouched
from cells import SLOW_ZARR, Counted
from scipy import sparse

import smash_gpu as smg

MARKERS = ["MARKER0X", "MARKER1X", "MARKER2X"]
WITH_A_KEY = {
    "pp.filter_genes": lambda a, **o: smg.pp.filter_genes(a, "cell_type", **o),
    "pp.inverse_pca": lambda a, **o: smg.pp.inverse_pca(a, **o),
    "tl.importance": lambda a, **o: smg.tl.importance(a, "cell_type", **o),
    "tl.rank_markers": lambda a, **o: smg.tl.rank_markers(a, **o),
    "tl.smash": lambda a, **o: smg.tl.smash(a, "cell_type", **o),
    "tl.tune": lambda a, **o: smg.tl.tune(a, "cell_type", model="rf", n_trials=1, **o),
    "tl.validate": lambda a, **o: smg.tl.validate(a, "cell_type", genes=MARKERS, **o),
    "tl.transfer": lambda a, **o: smg.tl.transfer(smg.datasets.planted(), a, "cell_type", genes=MARKERS, **o),
    "tl.panel": lambda a, **o: smg.tl.panel(a, "cell_type", n_genes=3, **o),
    "tl.evaluate": lambda a, **o: smg.tl.evaluate(a, "cell_type", genes=MARKERS, **o),
    "tl.stability": lambda a, **o: smg.tl.stability(a, "cell_type", choose=lambda *_: MARKERS, n_genes=3, **o),
    "tl.nsforest_metrics": lambda a, **o: smg.tl.nsforest_metrics(a, "cell_type", markers={"A": MARKERS}, **o),
    "tl.spapros_metrics": lambda a, **o: smg.tl.spapros_metrics(a, "cell_type", genes=MARKERS, **o),
}


@pytest.fixture
def adata(adata):
    """In a matrix that counts how often it is read."""
    adata.X = Counted(adata.X)
    return adata


def assert_refused(adata, step, kind, message):
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step()
    assert_untouched(adata, before)
    assert not adata.X.reads.any()


def test_every_function_with_a_key_is_tried_here():
    named = [(module, name) for module in ("pp", "tl") for name in getattr(smg, module).__all__]
    with_a_key = {(m, name) for m, name in named if "key" in signature(getattr(getattr(smg, m), name)).parameters}
    assert {f"{module}.{name}" for module, name in with_a_key} == set(WITH_A_KEY)


@pytest.mark.parametrize("key", ["B/T", "/run", "run/", "B\\T", "", ".", "..", "_index", "a\0b", 2])
@pytest.mark.parametrize("step", WITH_A_KEY.values(), ids=WITH_A_KEY)
def test_a_key_that_makes_a_file_unreadable_is_refused(adata, step, key):
    assert_refused(adata, lambda: step(adata, key=key), ValueError, r"key=.*cannot be read again.*without /")


@pytest.mark.parametrize("key", ["run2", "B T", "a.b", "é", "__x", "a:b"])
@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
@pytest.mark.filterwarnings("ignore")
def test_other_keys_can_be_read_again(adata, tmp_path, key, suffix):
    adata.X = sparse.csr_matrix(adata.X)
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, key=key)
    smg.tl.panel(adata, "cell_type", n_genes=3, key=f"{key} panel")
    getattr(adata, f"write_{suffix}")(tmp_path / f"cells.{suffix}")
    found = smg.read(tmp_path / f"cells.{suffix}")
    assert smg.get.markers_dict(found, key=key) == smg.get.markers_dict(adata, key=key)
    assert smg.get.panel(found, key=f"{key} panel") == smg.get.panel(adata, key=f"{key} panel")


@pytest.mark.parametrize("name", ["groupby", "within", "sample_key", "batch_key", "layer", "gene_symbols"])
@pytest.mark.parametrize("listed", [["cell_type", "sample"], ("cell_type",), np.array(["cell_type"]), {"cell_type": 1}])
def test_a_list_of_columns_is_refused(adata, name, listed):
    options = {"groupby": "cell_type"} | {name: listed}
    assert_refused(adata, lambda: smg.tl.smash(adata, **options), TypeError, rf"{name}=.*is a list, but one name")


@pytest.mark.parametrize("step", [smg.pp.filter_genes, smg.tl.importance, smg.tl.evaluate, smg.tl.nsforest_metrics])
def test_a_list_of_columns_of_classes_names_the_functions_that_take_it(adata, step):
    refused = "one name is needed; tl.panel takes several"
    assert_refused(adata, lambda: step(adata, ["cell_type", "sample"]), TypeError, refused)


def test_a_list_of_columns_is_refused_before_the_files_are_read():
    with pytest.raises(TypeError, match="groupby=.*one name is needed"):
        smg.tl.smash("no such file.h5ad", ["cell_type"])


MODEL_OPTIONS = {
    "rf": ({"max_dept": 5}, "'rf' has no option 'max_dept'.*Did you mean 'max_depth'.*n_estimators"),
    "brf": ({"replacment": True}, "'brf' has no option 'replacment'.*Did you mean 'replacement'"),
    "xgboost": ({"max_dept": 5}, "'xgboost' has no option 'max_dept'.*Did you mean 'max_depth'"),
    "dnn": ({"traning": None}, "'dnn' has no option 'traning'.*Did you mean 'training'"),
}


@pytest.mark.parametrize("step", [smg.tl.smash, smg.tl.importance])
@pytest.mark.parametrize("model", MODEL_OPTIONS)
def test_an_option_that_the_model_does_not_have_is_named(adata, step, model):
    if model == "dnn":
        pytest.importorskip("torch")
    options, message = MODEL_OPTIONS[model]
    options = options | {"random_state": 3}
    for given in ({name: value} for name, value in options.items()):
        said = message if "random_state" not in given else "'random_state'.*Pass random_state= to the function itself"
        assert_refused(
            adata, lambda given=given: step(adata, "cell_type", model=model, model_options=given), TypeError, said
        )


VALUES = {
    "no trees": ("xgboost", {"booster": "gblinear"}, "booster='gblinear' is not one of gbtree, dart.*splits"),
    "another objective": ("xgboost", {"objective": "reg:logistic"}, "always predicts classes; omit objective="),
    "one bin": ("xgboost", {"max_bin": 1}, "XGBoost refuses max_bin=1: "),
    "a share": ("xgboost", {"subsample": 7.0}, "XGBoost refuses subsample=7.0: "),
    "a metric": (
        "xgboost",
        {"eval_metric": "loss"},
        "XGBoost refuses eval_metric='loss': Unknown metric function loss$",
    ),
    "tol": ("xgboost", {"early_stopping_rounds": None, "tol": 0.1}, "tol=0.1 needs early stopping.*or omit tol="),
    "auto": ("brf", {"max_depth": "auto"}, "max_depth='auto' must be a whole number of at least 1 or None"),
    "a word": ("rf", {"max_depth": "deep"}, "max_depth='deep' must be .*'auto'"),
    "patience": ("dnn", {"patience": 0}, "patience=0 must be at least 1"),
}


@pytest.mark.parametrize(("model", "options", "said"), VALUES.values(), ids=VALUES)
def test_an_impossible_value_of_a_model_is_refused_before_anything_is_computed(adata, model, options, said):
    refused = lambda: smg.tl.importance(adata, "cell_type", model=model, model_options=options)  # noqa: E731
    assert_refused(adata, refused, ValueError, said)


def test_all_parameters_of_xgboost_are_taken(adata):
    """Also its short names, those of another booster, and those that it does not list."""
    options = {"eta": 0.3, "reg_lambda": 2, "booster": "dart", "rate_drop": 0.1, "eval_metric": "mlogloss"}
    options |= {"n_estimators": 2, "monotone_constraints": "(" + ",".join(["0"] * 60) + ")"}
    smg.tl.importance(adata, "cell_type", model="xgboost", model_options=options)
    assert "smash" in adata.varm


WORDS = {
    "model": (lambda a: smg.tl.smash(a, "cell_type", model="xgbost"), "'xgbost'.*Did you mean 'xgboost'"),
    "filters": (
        lambda a: smg.tl.smash(a, "cell_type", filters={"min_fracton": 0.1}),
        "'min_fracton'.*Did you mean 'min_fraction'",
    ),
    "classifier": (
        lambda a: smg.tl.evaluate(a, "cell_type", genes=MARKERS, classifier="logred"),
        "'logred'.*Did you mean 'logreg'",
    ),
    "protocol": (
        lambda a: smg.tl.evaluate(a, "cell_type", genes=MARKERS, protocol="leakfree"),
        "'leakfree'.*Did you mean 'leak-free'",
    ),
    "priorities": (
        lambda a: smg.tl.panel(a, "cell_type", priorities={"NOISE9": "want"}),
        "'want'.*must, wanted, spare.*Did you mean 'wanted'",
    ),
    "min_markers": (
        lambda a: smg.tl.panel(a, "cell_type", n_genes=3, min_markers={"celltype": 1}),
        "'celltype'.*Did you mean 'cell_type'",
    ),
}


@pytest.mark.parametrize(("step", "message"), WORDS.values(), ids=WORDS)
def test_a_misspelled_word_is_answered_with_the_one_that_was_meant(adata, step, message):
    with pytest.raises((KeyError, TypeError, ValueError), match=message):
        step(adata)
    assert not adata.uns


@pytest.mark.parametrize("choose", [lambda cells: MARKERS, lambda: MARKERS, lambda a, b, c: MARKERS])
def test_a_function_that_takes_other_than_two_values_is_refused(adata, choose):
    said = r"def choose\(adata, n_genes\)"
    evaluate, stability = smg.tl.evaluate, smg.tl.stability
    assert_refused(adata, lambda: evaluate(adata, "cell_type", genes=choose, n_genes=3), TypeError, said)
    assert_refused(adata, lambda: stability(adata, "cell_type", choose=choose, n_genes=3), TypeError, said)


def test_a_function_may_have_further_parameters_with_defaults(adata):
    smg.tl.evaluate(adata, "cell_type", genes=lambda cells, n, more=1: MARKERS[:n], n_genes=3, n_splits=1)
    smg.tl.evaluate(adata, "cell_type", genes=lambda *both: MARKERS, n_genes=3, n_splits=1)
    assert len(smg.get.evaluation_panels(adata)) == 3
