"""The annotation of a dataset."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smash_gpu.annotated.read import _categories, broad_groups, read
from smash_gpu.data import stages


@pytest.mark.parametrize(
    "values",
    [["b", "a", "b", "a", "nan"], [2, 10, 2, "2", 10], pd.Categorical(["y", "x", "y", None, "x"], ["x", "w", "y"])],
)
def test_annotation_is_held_as_codes_of_sorted_strings(values):
    column = pd.Series(values)
    found = _categories(column, missing="nan")
    expected = np.array(["nan" if pd.isna(value) else str(value) for value in column], dtype=object)
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
    assert len({stages.digest({"batch": batch}) for batch in (one, renamed, moved)}) == 3
    assert stages.digest({"batch": one}) == stages.digest({"batch": one.copy()})
