"""Groups from labels of every kind: missing, rare, numbers, text, categories."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from cases.steps import assert_untouched, filter_genes, results, smash, with_one_rare_cell

import smash_gpu as smg
from smash_gpu.annotated.read import read


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
    with pytest.warns(UserWarning, match=r"A \(71\)"), pytest.raises(ValueError, match=r"classes.*tl\.importance"):
        smg.tl.rank_markers(adata, min_cells=75)
    assert_untouched(adata, before)


def test_ranking_after_the_groups_were_renamed_is_an_error_that_says_so(adata):
    """The groups are as many, but in another order: markers of one would be called those of another."""
    smash(adata)
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str).replace({"A": "Z"})
    before = adata.copy()
    with pytest.raises(ValueError, match=r"classes.*tl\.importance"):
        smg.tl.rank_markers(adata)
    assert_untouched(adata, before)


def test_a_broad_column_that_is_absent_is_named(adata):
    with pytest.raises(KeyError, match="'sampel'.*Did you mean 'sample'"):
        smash(adata, within="sampel")
    assert not adata.uns


def test_broad_groups_with_nothing_to_tell_apart_are_named(adata):
    adata.obs["broad"] = adata.obs["cell_type"].astype(str)
    with (
        pytest.warns(UserWarning, match=r"A, B / b, CD4\+ T: one class only"),
        pytest.raises(ValueError, match="no broad class holds two classes"),
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
