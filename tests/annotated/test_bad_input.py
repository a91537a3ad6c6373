"""Bad input gets an error that names the thing and the way out, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest
from cases.steps import assert_untouched, expression, filter_genes, importance, smash, with_one_rare_cell
from cells import Counted
from scipy import sparse

import smash_gpu as smg

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]


def evaluate(adata, groupby="cell_type", **options):
    smg.tl.evaluate(adata, groupby, genes=MARKERS, **options)


def panel(adata, groupby="cell_type", **options):
    smg.tl.panel(adata, groupby, n_genes=5, **options)


def nsforest_metrics(adata, groupby="cell_type", **options):
    smg.tl.nsforest_metrics(adata, groupby, markers={"A": MARKERS[:2]}, **options)


STEPS = {"tl.smash": smash, "pp.filter_genes": filter_genes, "tl.importance": importance, "tl.evaluate": evaluate}
VALUE_STEPS = STEPS | {"tl.panel": panel, "tl.nsforest_metrics": nsforest_metrics}


@pytest.fixture
def adata(adata):
    """In a matrix that counts how often it is read."""
    adata.X = Counted(adata.X)
    return adata


def with_value(value):
    def change(adata):
        dense = adata.X.toarray()
        dense[3, 5] = value
        adata.X = sparse.csr_matrix(dense)

    return change


def with_column(name, values):
    def change(adata):
        adata.obs[name] = values(adata.n_obs) if callable(values) else values

    return change


def with_duplicated_genes(adata):
    adata.var_names = ["MARKER0X", "MARKER0X", *adata.var_names[2:]]


def with_zeros(adata):
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)


def with_logged_values(adata):
    adata.X = expression(adata)


def with_scaled_values(adata):
    dense = expression(adata).toarray()
    adata.layers["counts"] = adata.X
    adata.X = (dense - dense.mean(axis=0)) / dense.std(axis=0)


def with_raw_of_other_genes(adata):
    adata.raw = adata
    adata._inplace_subset_var(np.arange(50))


def with_layer(adata):
    adata.layers["counts"] = adata.X.copy()


def without_matrix(adata):
    with_layer(adata)
    adata.X = None


def without_any_matrix(adata):
    adata.X = None


def as_it_is(_):
    pass


# name: (what is wrong with the data, options, error, what the message must say)
BAD = {
    "no such column": (as_it_is, {"groupby": "cell_typ"}, KeyError, r"obs.*'cell_typ'.*Did you mean 'cell_type'"),
    "a column like no other": (as_it_is, {"groupby": "leiden"}, KeyError, r"'leiden'.*Columns: cell_type, sample"),
    "one class": (with_column("one", "A"), {"groupby": "one"}, ValueError, r"'one'.*two classes.*A \(240\)"),
    "no label at all": (with_column("none", np.nan), {"groupby": "none"}, ValueError, "'none'.*two classes"),
    "a class of one cell": (with_one_rare_cell, {}, ValueError, r"'cell_type'.*rare \(1\).*min_cells="),
    "one class with min_cells": (as_it_is, {"min_cells": 80}, ValueError, r"'cell_type'.*A \(71\), B / b \(76\)"),
    "labels that read alike": (
        with_column("alike", lambda n: [1, "1", "A"] * (n // 3)), {"groupby": "alike"}, ValueError, "'alike'.*'?1'?"
    ),
    "duplicated genes": (with_duplicated_genes, {}, ValueError, r"MARKER0X.*var_names_make_unique\(\)"),
    "one sample": (with_column("s", "d1"), {"sample_key": "s"}, ValueError, r"sample_key='s'.*d1.*Leave sample_key"),
    "no sample column": (as_it_is, {"sample_key": "sampl"}, KeyError, "'sampl'.*Did you mean 'sample'"),
    "cells without sample": (
        with_column("s", lambda n: ["d1", None] * (n // 2)), {"sample_key": "s"}, ValueError,
        "120 cells.*sample_key='s'",
    ),
    "one batch": (with_column("b", 1), {"batch_key": "b"}, ValueError, "batch_key='b'.*Leave batch_key out"),
    "no batch column": (as_it_is, {"batch_key": "smaple"}, KeyError, "'smaple'.*Did you mean 'sample'"),
    "no such layer": (with_layer, {"layer": "count"}, KeyError, r"'count'.*Did you mean 'counts'.*Layers: counts"),
    "layer and raw": (with_layer, {"layer": "counts", "use_raw": True}, ValueError, "layer= or use_raw=True, not both"),
    "no raw": (as_it_is, {"use_raw": True}, ValueError, r"adata\.raw is empty.*leave use_raw out"),
    "raw of other genes": (with_raw_of_other_genes, {"use_raw": True}, ValueError, r"to_adata\(\).*smash_gpu\.read\("),
    "no matrix": (without_matrix, {}, ValueError, r"adata\.X is empty.*layer=.*counts"),
    "no matrix at all": (without_any_matrix, {}, ValueError, "holds no counts.*Pass the annotated cells"),
    "no symbol column": (
        lambda adata: adata.var.insert(0, "symbol", "A"), {"gene_symbols": "symbols"}, KeyError,
        r"var.*'symbols'.*Did you mean 'symbol'",
    ),
    "an unknown device": (as_it_is, {"device": "gpu"}, ValueError, r"'gpu'.*auto, cpu, cuda"),
    "an unknown option": (as_it_is, {"sample": "sample"}, TypeError, "unexpected keyword argument 'sample'"),
}  # fmt: skip


BAD_VALUES = {
    "negative counts": (with_value(-1), {}, ValueError, r"1 negative.*layer=.*normalize=False"),
    "scaled values": (with_scaled_values, {}, ValueError, r"negative values, so it seems to be scaled.*layer="),
    "NaN": (with_value(np.nan), {}, ValueError, "1 NaN or infinite.*replace"),
    "infinity": (with_value(np.inf), {}, ValueError, "1 NaN or infinite.*replace"),
    "zeros only": (with_zeros, {}, ValueError, "only zeros"),
    "logged values as counts": (with_logged_values, {}, ValueError, "raw counts are expected.*normalize=False.*layer="),
    "counts as logged values": (as_it_is, {"normalize": False}, ValueError, "whole numbers only.*Leave normalize out"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:classes with fewer than:UserWarning", "ignore:.*have no label:UserWarning")
@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize(("change", "options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named_before_any_pass(adata, change, options, kind, message, step):
    change(adata)
    adata.X = adata.X if adata.X is None else Counted(adata.X)
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step(adata, **options)
    assert_untouched(adata, before)
    assert adata.X is None or not adata.X.reads.any()


@pytest.mark.parametrize("step", VALUE_STEPS.values(), ids=VALUE_STEPS)
@pytest.mark.parametrize(("change", "options", "kind", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_bad_values_are_named_after_one_pass(adata, change, options, kind, message, step):
    change(adata)
    adata.X = Counted(adata.X)
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step(adata, **options)
    assert_untouched(adata, before)
    assert adata.X.passes == 1


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_bad_input_leaves_earlier_results(adata, step):
    smash(adata)
    before = adata.copy()
    with pytest.raises(KeyError, match="'cell_typ'"):
        step(adata, "cell_typ")
    with pytest.raises(ValueError, match="whole numbers"):
        step(adata, normalize=False)
    assert_untouched(adata, before)


BAD_FILTERS = {
    "an excluded gene that is absent": ({"exclude": ["MARKER0W"]}, KeyError, "exclude.*'MARKER0W'.*MARKER0[XYZ]"),
    "a forced gene that is absent": ({"keep": ["MARKER0W"]}, KeyError, "keep.*'MARKER0W'.*MARKER0[XYZ]"),
    "one string to exclude": ({"exclude": "MARKER0X"}, TypeError, "exclude='MARKER0X'.*list"),
    "one string to keep": ({"keep": "MARKER0X"}, TypeError, "keep='MARKER0X'.*list"),
    "one string of families": ({"families": "hla"}, TypeError, "families='hla'.*list"),
    "an unknown family": ({"families": ["hla", "ribosome"]}, ValueError, "'ribosome'.*ribosomal"),
    "an unknown species": ({"species": "rat"}, ValueError, "'rat'.*auto, human, mouse"),
}


@pytest.mark.parametrize("step", ["tl.smash", "pp.filter_genes"])
@pytest.mark.parametrize(("filters", "kind", "message"), BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_bad_filters_are_named_before_any_pass(adata, filters, kind, message, step):
    before = adata.copy()
    options = filters if step == "pp.filter_genes" else {"filters": filters}
    with pytest.raises(kind, match=message):
        STEPS[step](adata, **options)
    assert_untouched(adata, before)
    assert not adata.X.reads.any()


def test_an_unknown_filter_is_named_with_the_known_ones(adata):
    with pytest.raises(TypeError, match="min_frac.*min_fraction"):
        smash(adata, filters={"min_frac": 0.1})
    assert not adata.uns


@pytest.mark.parametrize("step", ["tl.smash", "pp.filter_genes"])
def test_nothing_left_shows_which_rule_removed_what(adata, step):
    before = adata.copy()
    filters = {"exclude": MARKERS, "min_fraction": 1.01}
    options = filters if step == "pp.filter_genes" else {"filters": filters}
    with pytest.raises(ValueError, match="no gene is left") as error:
        STEPS[step](adata, **options)
    rows = [line.split() for line in str(error.value).splitlines()]
    assert next(row for row in rows if row[0] == "excluded")[-3:] == ["9", "9", "51"]
    assert next(row for row in rows if row[:3] == ["detected", "in", "<"])[-3:] == ["60", "51", "0"]
    assert {"(min_fraction,", "keep="} <= set(rows[-1])
    assert_untouched(adata, before)


BAD_MODELS = {
    "an unknown model": ({"model": "svm"}, ValueError, "'svm'.*rf, brf, xgboost, dnn"),
    "an object that is no model": ({"model": object()}, TypeError, "lacks fit, importance, predict"),
    "no models": ({"n_models": 0}, ValueError, "n_models"),
}


@pytest.mark.parametrize("step", [smg.tl.smash, smg.tl.importance])
@pytest.mark.parametrize(("options", "kind", "message"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_bad_model_is_named_before_any_pass(adata, step, options, kind, message):
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step(adata, "cell_type", **options)
    assert_untouched(adata, before)
    assert not adata.X.reads.any()


def test_an_unknown_option_of_the_model_is_named_and_nothing_is_written(adata):
    before = adata.copy()
    with pytest.raises(TypeError, match="n_tree"):
        smg.tl.smash(adata, "cell_type", model_options={"n_tree": 5})
    assert_untouched(adata, before)


def test_a_misspelled_option_of_smash_is_named(adata):
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_tops'"):
        smash(adata, n_tops=3)


STEPS_THAT_NEED_ANOTHER = {
    "pp.inverse_pca": (smg.pp.inverse_pca, r"pp\.filter_genes"),
    "tl.rank_markers": (smg.tl.rank_markers, r"tl\.importance or tl\.smash"),
    "get.markers": (smg.get.markers, r"tl\.smash"),
    "get.markers_dict": (smg.get.markers_dict, r"tl\.smash"),
    "get.marker_panel": (lambda adata: smg.get.marker_panel(adata, 3), r"tl\.smash"),
    "tl.evaluate": (lambda adata: smg.tl.evaluate(adata, "cell_type"), r"tl\.smash.*genes="),
}


@pytest.mark.parametrize(("step", "message"), STEPS_THAT_NEED_ANOTHER.values(), ids=STEPS_THAT_NEED_ANOTHER)
def test_a_step_too_early_names_the_one_that_is_missing(adata, step, message):
    with pytest.raises((KeyError, ValueError), match=message):
        step(adata)
    assert not adata.uns
