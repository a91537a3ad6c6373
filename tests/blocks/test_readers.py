"""Readers of a matrix refuse what is damaged."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from smash_gpu.blocks.fold import stream
from smash_gpu.blocks.readers import reader
from smash_gpu.io.open import open_file


def test_column_numbers_beyond_the_genes_are_an_error_and_not_a_crash(tmp_path):
    ad.AnnData(sparse.csr_matrix(np.eye(20, dtype=np.float32))).write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][3] = 100_000
    X = open_file(tmp_path / "x.h5ad", lazily=True).X
    with pytest.raises((ValueError, OSError), match="beyond the 20 genes"):
        list(stream(X))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_blocks_of_a_matrix_in_memory_are_its_rows_and_share_its_values(counts, kind, index):
    X = kind(counts)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    read = reader(X)
    for cut in (slice(0, 7), slice(7, 8), slice(8, 8), slice(8, X.shape[0])):
        block = read(cut)
        assert type(block) is kind and block.shape == (cut.stop - cut.start, X.shape[1])
        np.testing.assert_array_equal(block.toarray(), counts[cut].toarray())
        assert not block.nnz or np.shares_memory(block.data, X.data) and np.shares_memory(block.indices, X.indices)


def test_a_block_that_is_put_in_order_leaves_the_matrix_as_it_was(counts):
    X = counts.copy()
    X.indices[X.indptr[3] : X.indptr[4]] = X.indices[X.indptr[3] : X.indptr[4]][::-1].copy()
    X.has_sorted_indices = X.has_canonical_format = False
    before = X.indices.copy()
    assert X.indptr[4] - X.indptr[3] > 1
    block = reader(X)(slice(0, 10))
    assert block.has_canonical_format
    np.testing.assert_array_equal(block.toarray(), X[:10].toarray())
    np.testing.assert_array_equal(X.indices, before)
