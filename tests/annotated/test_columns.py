"""Masks and numbers of the gene table, as files and joins leave them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.annotated.columns import mask_of, numbers_of

ALLOWED = np.array([True, False, True, False, False])
MISSING = [False, False, False, True, True]
WORDS = np.where(ALLOWED, "True", "False").astype(object)
SPELLINGS = {
    "bool": ALLOWED,
    "object": ALLOWED.astype(object),
    "text": WORDS,
    "lower": np.char.lower(WORDS.astype(str)),
    "upper": np.char.upper(WORDS.astype(str)),
    "digits": np.where(ALLOWED, "1", "0"),
    "category": pd.Categorical(WORDS),
    "bool_category": pd.Categorical(ALLOWED),
    "string": pd.array(WORDS, dtype="string"),
    "integer": ALLOWED.astype(int),
    "float": ALLOWED.astype(float),
    "nullable": pd.array(ALLOWED, dtype="boolean"),
    "nullable_integer": pd.array(ALLOWED.astype(int), dtype="Int64"),
}
WITH_HOLES = {
    "object": np.where(MISSING, np.nan, ALLOWED.astype(object)),
    "none": np.where(MISSING, None, ALLOWED.astype(object)),
    "float": np.where(MISSING, np.nan, ALLOWED),
    "text": np.where(MISSING, "nan", WORDS),
    "empty": np.where(MISSING, "", WORDS),
    "category": pd.Categorical(np.where(MISSING, None, WORDS)),
    "string": pd.array(np.where(MISSING, pd.NA, WORDS), dtype="string"),
    "nullable": pd.array(np.where(MISSING, pd.NA, ALLOWED.astype(object)), dtype="boolean"),
    "nullable_integer": pd.array(np.where(MISSING, pd.NA, ALLOWED.astype(int)), dtype="Int64"),
}


@pytest.mark.parametrize("values", SPELLINGS.values(), ids=SPELLINGS)
def test_a_mask_is_read_in_any_spelling(values):
    table = pd.DataFrame({"allowed": values})
    assert mask_of(table, "allowed", "mask_var").tolist() == ALLOWED.tolist()
    assert numbers_of(table, "allowed", "limits").tolist() == ALLOWED.tolist()


@pytest.mark.parametrize("values", WITH_HOLES.values(), ids=WITH_HOLES)
def test_a_missing_value_is_left_out_and_counted(values):
    table = pd.DataFrame({"allowed": values})
    with pytest.warns(UserWarning, match="mask_var: 2 of 5 genes have no value in 'allowed'"):
        found = mask_of(table, "allowed", "mask_var")
    assert found.tolist() == [True, False, True, False, False]
    assert np.array_equal(numbers_of(table, "allowed", "limits"), [1, 0, 1, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize("values", [["yes", "no", "yes", "no", "no"], [0, 1, 2, 3, 0], pd.Categorical(list("abcab"))])
def test_other_values_are_named(values):
    with pytest.raises(ValueError, match=f"mask_var: column 'x' of adata.var .* {values[2]}") as caught:
        mask_of(pd.DataFrame({"x": values}), "x", "mask_var")
    assert "comparison" in str(caught.value)


def test_numbers_are_read_from_text_and_categories():
    table = pd.DataFrame(
        {"text": ["3", "4.5", "nan"], "category": pd.Categorical([3, 4.5, np.nan]), "bad": list("abc")}
    )
    for column in ("text", "category"):
        assert np.array_equal(numbers_of(table, column, "limits"), [3, 4.5, np.nan], equal_nan=True)
    with pytest.raises(ValueError, match="limits: column 'bad' of adata.var is not numeric"):
        numbers_of(table, "bad", "limits")
    with pytest.raises(KeyError, match="no column 'test'. Did you mean 'text'"):
        numbers_of(table, "test", "limits")


@pytest.mark.parametrize("values", SPELLINGS.values(), ids=SPELLINGS)
def test_candidates_are_read_in_any_spelling(values):
    adata = ad.AnnData(np.ones((2, 5)), var=pd.DataFrame({"smash_candidate": np.asarray(values)}, index=list("abcde")))
    assert slots.candidates(adata, "smash").tolist() == ALLOWED.tolist()


@pytest.mark.parametrize("kind", ["memory", "h5ad", "zarr", "joined"])
@pytest.mark.parametrize("spelling", ["text", "category", "nullable", "with_nan"])
def test_a_mask_holds_in_every_container(rng, tmp_path, spelling, kind):
    adata = planted(rng)
    allowed = ~adata.var_names.str.startswith("MARKER0")
    words = np.where(allowed, "True", "False").astype(object)
    adata.var["good"] = {
        "text": words,
        "category": pd.Categorical(words),
        "nullable": pd.array(np.where(allowed, True, pd.NA), dtype="boolean"),
        "with_nan": np.where(allowed, 1.0, np.nan),
    }[spelling]
    if kind == "joined":
        adata = ad.concat([adata[:120], adata[120:]], merge="first")
    elif kind != "memory":
        getattr(adata, f"write_{kind}")(tmp_path / f"cells.{kind}")
        adata = smg.read(tmp_path / f"cells.{kind}")
    smg.tl.panel(adata, "cell_type", n_genes=12, mask_var="good")
    assert not any(name.startswith("MARKER0") for name in smg.get.panel(adata))
    smg.tl.panel(adata, "cell_type", n_genes=12, limits={"good": (1, None)})
    assert not any(name.startswith("MARKER0") for name in smg.get.panel(adata))
