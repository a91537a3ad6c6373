"""What the steps read, and what bad input gets: an error that names the thing and the way out, and nothing written."""

import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import _categories, broad_groups, read
from smash_gpu.data import stages
from smash_gpu.io import open
from smash_gpu.io.open import open_file

FEW_TREES = {"n_estimators": 10}
MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]


def smash(adata, groupby="cell_type", **options):
    smg.tl.smash(adata, groupby, model_options=FEW_TREES, **options)


def importance(adata, groupby="cell_type", **options):
    smg.tl.importance(adata, groupby, model_options=FEW_TREES, **options)


def filter_genes(adata, groupby="cell_type", **options):
    smg.pp.filter_genes(adata, groupby, **options)


def evaluate(adata, groupby="cell_type", **options):
    smg.tl.evaluate(adata, groupby, genes=MARKERS, **options)


STEPS = {"tl.smash": smash, "pp.filter_genes": filter_genes, "tl.importance": importance, "tl.evaluate": evaluate}


def results(adata):
    return smg.get.markers(adata).drop(columns="group").assign(group=smg.get.markers(adata)["group"].astype(str))


def expression(adata):
    counts = adata.X.toarray().astype(np.float64)
    return sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32))


def assert_untouched(adata, before):
    """Every table, matrix and slot is what it was."""
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert set(adata.varm) == set(before.varm)
    for key in adata.varm:
        np.testing.assert_array_equal(adata.varm[key], before.varm[key])
    assert repr(dict(adata.uns)) == repr(dict(before.uns))
    if before.X is not None:
        np.testing.assert_array_equal(sparse.csr_matrix(adata.X).toarray(), sparse.csr_matrix(before.X).toarray())


@pytest.fixture
def nothing_is_computed(monkeypatch):
    """Statistics and moments fail: a complaint has to come before them."""

    def computed(*_, **__):
        raise AssertionError("statistics were computed before the complaint")

    monkeypatch.setattr("smash_gpu.data.dataset.group_stats", computed)
    monkeypatch.setattr("smash_gpu.selection.steps.moments", computed)


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


def with_one_rare_cell(adata):
    adata.obs["cell_type"] = ["rare", *adata.obs["cell_type"].astype(str)[1:]]


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


def as_it_is(_):
    pass


# name: (what is wrong with the data, options, error, what the message must say)
BAD = {
    "no such column": (as_it_is, {"groupby": "cell_typ"}, KeyError, r"obs.*'cell_typ'.*Did you mean 'cell_type'"),
    "a column like no other": (as_it_is, {"groupby": "leiden"}, KeyError, r"'leiden'.*Columns: cell_type, sample"),
    "one class": (with_column("one", "A"), {"groupby": "one"}, ValueError, r"'one'.*two groups.*A \(240\)"),
    "no label at all": (with_column("none", np.nan), {"groupby": "none"}, ValueError, "'none'.*two groups"),
    "a class of one cell": (with_one_rare_cell, {}, ValueError, r"'cell_type'.*rare \(1\).*min_cells="),
    "one class with min_cells": (as_it_is, {"min_cells": 80}, ValueError, r"'cell_type'.*A \(71\), B / b \(76\)"),
    "labels that read alike": (
        with_column("alike", lambda n: [1, "1", "A"] * (n // 3)), {"groupby": "alike"}, ValueError, "'alike'.*'?1'?"
    ),
    "negative counts": (with_value(-1), {}, ValueError, r"1 negative.*layer=.*normalize=False"),
    "scaled values": (with_scaled_values, {}, ValueError, r"negative values, as scaled data.*layer="),
    "NaN": (with_value(np.nan), {}, ValueError, "1 NaN or infinite.*replace"),
    "infinity": (with_value(np.inf), {}, ValueError, "1 NaN or infinite.*replace"),
    "zeros only": (with_zeros, {}, ValueError, "nothing but zeros"),
    "logged values as counts": (with_logged_values, {}, ValueError, "raw counts are expected.*normalize=False.*layer="),
    "counts as logged values": (as_it_is, {"normalize": False}, ValueError, "whole numbers only.*Leave normalize out"),
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
    "raw of other genes": (with_raw_of_other_genes, {"use_raw": True}, ValueError, r"50.*raw\.to_adata\(\).*open_file"),
    "no matrix": (without_matrix, {}, ValueError, r"adata\.X is empty.*layer=.*counts"),
    "no symbol column": (
        lambda adata: adata.var.insert(0, "symbol", "A"), {"gene_symbols": "symbols"}, KeyError,
        r"var.*'symbols'.*Did you mean 'symbol'",
    ),
    "an unknown device": (as_it_is, {"device": "gpu"}, ValueError, r"'gpu'.*auto, cpu, cuda"),
    "an unknown option": (as_it_is, {"sample": "sample"}, TypeError, "option 'sample'.*sample_key"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:groups with fewer than:UserWarning", "ignore:.*have no label:UserWarning")
@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize(("change", "options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named_before_any_computation(adata, nothing_is_computed, change, options, kind, message, step):
    change(adata)
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step(adata, **options)
    assert_untouched(adata, before)


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
def test_bad_filters_are_named_before_any_computation(adata, nothing_is_computed, filters, kind, message, step):
    before = adata.copy()
    options = filters if step == "pp.filter_genes" else {"filters": filters}
    with pytest.raises(kind, match=message):
        STEPS[step](adata, **options)
    assert_untouched(adata, before)


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
def test_a_bad_model_is_named_before_any_computation(adata, nothing_is_computed, step, options, kind, message):
    before = adata.copy()
    with pytest.raises(kind, match=message):
        step(adata, "cell_type", **options)
    assert_untouched(adata, before)


def test_an_unknown_option_of_the_model_is_named_and_nothing_is_written(adata):
    before = adata.copy()
    with pytest.raises(TypeError, match="n_tree"):
        smg.tl.smash(adata, "cell_type", model_options={"n_tree": 5})
    assert_untouched(adata, before)


def test_a_misspelled_option_of_smash_is_answered_with_the_options_of_smash(adata):
    with pytest.raises(TypeError, match=r"n_tops.*\bn_top\b"):
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


def test_a_group_without_markers_is_named_with_those_that_have(adata):
    smash(adata)
    with pytest.raises(KeyError, match=r"'NK'.*A, B / b, CD4\+ T"):
        smg.get.markers(adata, "NK")


def test_genes_kept_by_the_inverse_pca_must_be_there(adata):
    filter_genes(adata)
    before = adata.copy()
    with pytest.raises(KeyError, match="keep.*'MARKER0W'.*MARKER0[XYZ]"):
        smg.pp.inverse_pca(adata, keep=["MARKER0W"])
    with pytest.raises(TypeError, match="keep='MARKER0X'.*list"):
        smg.pp.inverse_pca(adata, keep="MARKER0X")
    assert_untouched(adata, before)


def test_ranking_by_other_groups_than_were_scored_is_an_error_that_says_so(adata):
    smash(adata)
    before = adata.copy()
    with pytest.warns(UserWarning, match=r"A \(71\)"), pytest.raises(ValueError, match=r"groups.*tl\.importance"):
        smg.tl.rank_markers(adata, min_cells=75)
    assert_untouched(adata, before)


def test_ranking_after_the_groups_were_renamed_is_an_error_that_says_so(adata):
    """The groups are as many, but in another order: markers of one would be called those of another."""
    smash(adata)
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str).replace({"A": "Z"})
    before = adata.copy()
    with pytest.raises(ValueError, match=r"groups.*tl\.importance"):
        smg.tl.rank_markers(adata)
    assert_untouched(adata, before)


def test_a_broad_column_that_is_absent_is_named(adata):
    with pytest.raises(KeyError, match="'sampel'.*Did you mean 'sample'"):
        smash(adata, within="sampel")
    assert not adata.uns


def test_broad_groups_with_nothing_to_tell_apart_are_named(adata):
    adata.obs["broad"] = adata.obs["cell_type"].astype(str)
    with (
        pytest.warns(UserWarning, match=r"A, B / b, CD4\+ T: one group only"),
        pytest.raises(ValueError, match="no broad group holds two groups"),
    ):
        smash(adata, within="broad")
    assert not adata.uns


MISSING = {
    "NaN in categories": lambda labels: pd.Categorical(labels),
    "None among strings": lambda labels: np.array([None if pd.isna(v) else v for v in labels], dtype=object),
    "NA in pandas strings": lambda labels: pd.array(labels, dtype="string"),
    "NaN among numbers": lambda labels: (
        pd.Categorical(labels).codes.astype(float) + np.where(pd.isna(labels), np.nan, 0)
    ),
}


@pytest.mark.parametrize("spell", MISSING.values(), ids=MISSING)
def test_cells_without_a_label_are_left_out_and_their_number_said(adata, rng, spell):
    labels = adata.obs["cell_type"].astype(object).to_numpy(copy=True)
    labels[rng.choice(240, 17, replace=False)] = np.nan
    adata.obs["label"] = spell(labels)
    subset = adata[adata.obs["label"].notna()].copy()
    with pytest.warns(UserWarning, match=r"17 of 240 cells have no label in 'label' and are left out"):
        smash(adata, "label")
    smash(subset, "label")
    pd.testing.assert_frame_equal(results(adata), results(subset))
    np.testing.assert_array_equal(adata.varm["smash"], subset.varm["smash"])


def test_labels_that_are_there_give_no_warning(adata):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smash(adata, n_top=2)


def test_groups_below_min_cells_are_left_out_and_named(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:3], labels[3] = "few", "one"
    adata.obs["cell_type"] = labels
    subset = adata[4:].copy()
    with pytest.warns(UserWarning, match=r"fewer than 4 cells are left out: few \(3\), one \(1\)"):
        smash(adata, min_cells=4)
    smash(subset)
    pd.testing.assert_frame_equal(results(adata), results(subset))


@pytest.mark.parametrize("min_cells", [0, 1])
def test_a_class_of_one_cell_is_named_however_low_min_cells_is(adata, min_cells):
    with_one_rare_cell(adata)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            smash(adata, min_cells=min_cells)
        except ValueError as error:
            said = str(error)
        else:
            said = "; ".join(str(w.message) for w in caught)
    assert "rare (1)" in said
    assert "fewer than 2 cells" in said


def test_a_group_of_exactly_min_cells_stays(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:4] = "few"
    adata.obs["cell_type"] = labels
    data = read(adata, {"groupby": "cell_type", "min_cells": 4})
    assert data.groups.tolist() == ["A", "B / b", "CD4+ T", "few"]


def test_categories_without_cells_are_no_groups(adata):
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.add_categories(["empty"])
    data = read(adata, {"groupby": "cell_type"})
    assert data.groups.tolist() == ["A", "B / b", "CD4+ T"]


def test_groups_keep_the_order_of_the_categories(adata):
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.reorder_categories(["CD4+ T", "A", "B / b"])
    smash(adata)
    assert list(smg.get.markers_dict(adata)) == list(adata.uns["smash"]["groups"]) == ["CD4+ T", "A", "B / b"]


SPELLINGS = {
    "integers": lambda codes: codes.astype(int),
    "integer categories": lambda codes: pd.Categorical(codes.astype(int)),
    "booleans": lambda codes: codes > 0,
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_labels_need_not_be_strings(adata, spell):
    adata.obs["plain"] = spell(adata.obs["cell_type"].cat.codes.to_numpy())
    adata.obs["text"] = adata.obs["plain"].astype(str)
    other = adata.copy()
    smash(adata, "plain")
    smash(other, "text")
    pd.testing.assert_frame_equal(results(adata), results(other))
    assert list(smg.get.markers_dict(adata)) == sorted(set(adata.obs["text"]))


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_group_can_be_asked_for_by_its_label_in_obs(adata, spell):
    adata.obs["plain"] = spell(adata.obs["cell_type"].cat.codes.to_numpy())
    smash(adata, "plain")
    label = adata.obs["plain"].iloc[0]
    pd.testing.assert_frame_equal(smg.get.markers(adata, label), smg.get.markers(adata, str(label)))


def with_ensembl_ids(adata):
    adata.var["symbol"] = ["MT-CO1", "RPL3", *adata.var_names[2:]]
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]


def test_gene_symbols_make_ensembl_ids_readable(adata):
    with_ensembl_ids(adata)
    named = adata.copy()
    named.var_names = adata.var["symbol"]
    smash(adata, gene_symbols="symbol", filters={"exclude": ["MARKER1X"], "keep": ["RPL3"]})
    smash(named, filters={"exclude": ["MARKER1X"], "keep": ["RPL3"]})
    np.testing.assert_array_equal(adata.var["smash_candidate"], named.var["smash_candidate"])
    assert adata.var["smash_candidate"].iloc[[0, 1, 3]].tolist() == [False, True, False]
    symbol = adata.var["symbol"]
    assert symbol[smg.get.markers(adata)["name"]].tolist() == smg.get.markers(named)["name"].tolist()
    assert symbol[smg.get.marker_panel(adata, 9)].tolist() == smg.get.marker_panel(named, 9)


def test_genes_to_evaluate_may_be_symbols_or_ids(adata):
    with_ensembl_ids(adata)
    tables = []
    for genes in (adata.var_names[2:9], adata.var["symbol"].iloc[2:9]):
        smg.tl.evaluate(adata, "cell_type", genes=genes, gene_symbols="symbol")
        tables.append(smg.get.evaluation(adata))
    pd.testing.assert_frame_equal(*tables)


def test_ensembl_ids_without_symbols_are_pointed_out(adata):
    with_ensembl_ids(adata)
    with pytest.warns(UserWarning, match="Ensembl ids.*gene_symbols="):
        filter_genes(adata)


def test_an_unrecognised_spelling_is_pointed_out(adata):
    adata.var_names = [f"gene_{i}" for i in range(adata.n_vars)]
    with pytest.warns(UserWarning, match="species='human' or 'mouse'"):
        filter_genes(adata)


def test_symbols_may_be_missing_or_shared(adata):
    with_ensembl_ids(adata)
    adata.var["symbol"] = pd.Categorical(["MT-CO1", None, "TWICE", "TWICE", *adata.var["symbol"][4:]])
    smash(adata, gene_symbols="symbol", filters={"exclude": ["TWICE"]})
    assert adata.var["smash_candidate"].iloc[[0, 2, 3]].tolist() == [False, False, False]


def test_raw_counts_beside_scaled_values_are_read(adata):
    plain = adata.copy()
    smash(plain)
    adata.raw = adata
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X.toarray() - 1
    for source in ({"use_raw": True}, {"layer": "counts"}):
        smash(adata, **source)
        pd.testing.assert_frame_equal(results(adata), results(plain))


def test_later_steps_read_what_the_first_was_told(adata):
    plain = adata.copy()
    smash(plain)
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X.toarray() - 1
    filter_genes(adata, layer="counts")
    smg.pp.inverse_pca(adata)
    importance(adata)
    smg.tl.rank_markers(adata)
    pd.testing.assert_frame_equal(results(adata), results(plain))
    smg.tl.evaluate(adata, "cell_type", n_genes=9)
    smg.tl.evaluate(plain, "cell_type", n_genes=9)
    pd.testing.assert_frame_equal(smg.get.evaluation(adata), smg.get.evaluation(plain))


def test_log_normalised_values_give_the_markers_of_their_counts(adata):
    logged = adata.copy()
    logged.X = expression(adata)
    smash(adata)
    smash(logged, normalize=False)
    np.testing.assert_array_equal(adata.var["smash_candidate"], logged.var["smash_candidate"])
    assert smg.get.markers_dict(adata) == smg.get.markers_dict(logged)


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint16, np.int32])
@pytest.mark.parametrize(
    "hold", [sparse.csr_matrix, sparse.csc_matrix, lambda X: X.toarray()], ids=["csr", "csc", "dense"]
)
def test_the_type_of_the_counts_changes_nothing_and_they_are_not_changed(adata, kind, hold):
    other = ad.AnnData(hold(adata.X.astype(kind)), obs=adata.obs, var=adata.var.copy())
    smash(adata)
    before = other.X.copy()
    smash(other)
    pd.testing.assert_frame_equal(results(other), results(adata))
    assert type(other.X) is type(before)
    assert other.X.dtype == kind
    np.testing.assert_array_equal(*(sparse.csr_matrix(X).toarray() for X in (other.X, before)))


def test_fractions_among_large_values_are_taken_as_counts(adata):
    """Counts corrected for ambient RNA have fractions, but unlike logarithms also large values."""
    counts = adata.X.toarray()
    counts[:, 0] += 0.5
    counts[0, 1] = 300
    adata.X = counts
    filter_genes(adata)
    assert adata.var["smash_candidate"].any()


@pytest.mark.parametrize("spell", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_open_file_reads_h5ad_and_zarr(adata, tmp_path, suffix, spell):
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found = open_file(spell(path))
    np.testing.assert_array_equal(found.X.toarray(), adata.X.toarray())
    pd.testing.assert_frame_equal(found.obs, adata.obs, check_categorical=False)
    assert found.var_names.tolist() == adata.var_names.tolist()


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_a_large_file_stays_on_disk_with_its_layers_and_results_are_the_same(adata, tmp_path, monkeypatch, suffix):
    adata.layers["counts"] = adata.X.copy()
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)
    found = open_file(path)
    assert not isinstance(found.X, np.ndarray | sparse.csr_matrix | sparse.csr_array)
    smash(found, layer="counts")
    smash(adata)
    pd.testing.assert_frame_equal(results(found), results(adata))


def test_a_missing_file_is_named_with_its_near_match(tmp_path):
    (tmp_path / "pbmc3k.h5ad").touch()
    with pytest.raises(FileNotFoundError, match=r"pbmc3.h5ad.*Did you mean 'pbmc3k.h5ad'"):
        open_file(tmp_path / "pbmc3.h5ad")


def test_a_file_in_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_file(tmp_path / "nowhere" / "cells.h5ad")


def a_text_file(path):
    path.write_text("gene,count\nMS4A1,3\n")


def another_hdf5_file(path):
    with h5py.File(path, "w") as file:
        file["matrix"] = np.eye(3)


def a_cut_off_file(path):
    ad.AnnData(np.eye(50, dtype=np.float32)).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:2000])


def an_empty_file(path):
    path.touch()


@pytest.mark.parametrize("write", [a_text_file, another_hdf5_file, a_cut_off_file, an_empty_file])
def test_a_file_that_is_no_h5ad_is_named_with_the_way_out(tmp_path, write):
    path = tmp_path / "cells.h5ad"
    write(path)
    with pytest.raises(ValueError, match=r"cells\.h5ad cannot be read as an h5ad file.*write_h5ad"):
        smg.tl.smash(path, "cell_type")


def test_a_folder_that_is_no_zarr_store_is_named_with_the_way_out(tmp_path):
    (tmp_path / "cells").mkdir()
    with pytest.raises(ValueError, match=r"cells cannot be read as a zarr store.*write_zarr"):
        smg.tl.smash(tmp_path / "cells", "cell_type")


@pytest.mark.parametrize(
    "values",
    [["b", "a", "b", "a", "nan"], [2, 10, 2, "2", 10], pd.Categorical(["y", "x", "y", None, "x"], ["x", "w", "y"])],
)
def test_annotation_is_held_as_codes_of_sorted_strings(values):
    column = pd.Series(values)
    found = _categories(column, missing="nan")
    expected = column.astype(str).to_numpy(dtype=object)
    np.testing.assert_array_equal(np.asarray(found), expected)
    names, codes = np.unique(expected.astype(str), return_inverse=True)
    np.testing.assert_array_equal(found.categories, names)
    np.testing.assert_array_equal(found.codes, codes)


def test_annotation_takes_a_byte_a_cell(adata):
    adata.obs["batch"] = np.arange(adata.n_obs) % 3
    adata.obs["broad"] = pd.Series(["x"] * adata.n_obs, index=adata.obs_names).where(adata.obs["batch"] > 0)
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    assert data.batch.codes.nbytes == adata.n_obs
    broad = broad_groups(adata, "broad")
    np.testing.assert_array_equal(np.asarray(broad) == "", adata.obs["batch"] == 0)


def test_a_stage_of_batches_is_named_after_their_names_and_their_cells():
    one, renamed, moved = (pd.Categorical(list(cells)) for cells in ("aab", "aac", "aba"))
    assert len({str(stages._plain(batch)) for batch in (one, renamed, moved)}) == 3
    assert stages._plain(one) == stages._plain(one.copy())
