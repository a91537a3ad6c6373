"""Readers of a matrix refuse what is damaged."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from smash_gpu.blocks.fold import stream
from smash_gpu.io.open import open_file


def test_column_numbers_beyond_the_genes_are_an_error_and_not_a_crash(tmp_path):
    ad.AnnData(sparse.csr_matrix(np.eye(20, dtype=np.float32))).write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][3] = 100_000
    X = open_file(tmp_path / "x.h5ad", lazily=True).X
    with pytest.raises((ValueError, OSError), match="beyond the 20 genes"):
        list(stream(X))
