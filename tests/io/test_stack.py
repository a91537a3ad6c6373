"""Columns of stacked matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.io.stack import take_columns

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


def test_columns_of_csr_are_taken_in_order(rng):
    matrix = sparse.random(40, 30, 0.3, format="csr", random_state=0)
    for columns in (
        rng.permutation(30),
        np.arange(30),
        np.array([7, 3, 20]),
        np.array([], dtype=int),
        np.array([7, 7, 3]),
    ):
        taken = take_columns(matrix, columns)
        np.testing.assert_array_equal(taken.toarray(), matrix.toarray()[:, columns])
        assert taken.has_canonical_format
