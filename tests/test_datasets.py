"""Data for examples: the same for the same seed, markers where they are said to be."""

import importlib.util

import numpy as np
import pytest
from scipy import sparse

import smash_gpu as smg


def test_planted_cells_are_counts_in_a_sparse_matrix_of_rows():
    adata = smg.datasets.planted(n_cells=50, n_genes=30)
    assert adata.shape == (50, 30)
    assert isinstance(adata.X, sparse.csr_matrix | sparse.csr_array) and adata.X.dtype == np.float32
    assert np.array_equal(adata.X.data, np.round(adata.X.data)) and adata.X.min() >= 0
    assert {"cell_type", "sample", "batch"} <= set(adata.obs)


def test_one_seed_gives_the_same_cells_and_another_seed_others():
    same = [smg.datasets.planted(random_state=seed) for seed in (5, 5, 6)]
    assert (same[0].X != same[1].X).nnz == 0 and same[0].obs.equals(same[1].obs)
    assert (same[0].X != same[2].X).nnz > 0


def test_planted_markers_are_high_in_their_group_only():
    adata = smg.datasets.planted(n_cells=600, groups=("a", "b"), n_markers=5)
    mean = adata.to_df().groupby(adata.obs["cell_type"], observed=True).mean()
    for gene, group in adata.var["marker_of"].items():
        if group:
            assert mean.loc[group, gene] > 8 * mean.drop(group)[gene].max()
    assert (adata.var["marker_of"] != "").sum() == 10 and adata.var_names.is_unique


def test_a_sample_is_in_one_batch():
    obs = smg.datasets.planted(n_samples=5, n_batches=2).obs
    assert (obs.groupby("sample")["batch"].nunique() == 1).all() and obs["batch"].nunique() == 2


def test_more_markers_than_genes_are_an_error():
    with pytest.raises(ValueError, match="n_genes=8 is too low"):
        smg.datasets.planted(n_genes=8)


def test_packaged_cells_are_log_normalised_in_raw():
    pytest.importorskip("scanpy")
    adata = smg.datasets.pbmc68k_reduced()
    assert adata.shape == (700, 765) and adata.obs["bulk_labels"].nunique() == 10
    assert adata.raw.X.min() >= 0 and adata.raw.X.max() < 10


def test_without_scanpy_the_error_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(smg.datasets, "find_spec", lambda name: None if name == "scanpy" else found(name))
    with pytest.raises(ImportError, match="pip install scanpy"):
        smg.datasets.pbmc68k_reduced()
