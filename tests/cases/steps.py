"""The steps of a selection with small options."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

import smash_gpu as smg

FEW_TREES = {"n_estimators": 10}


def smash(adata, groupby="cell_type", **options):
    smg.tl.smash(adata, groupby, model_options=FEW_TREES, **options)


def importance(adata, groupby="cell_type", **options):
    smg.tl.importance(adata, groupby, model_options=FEW_TREES, **options)


def filter_genes(adata, groupby="cell_type", **options):
    smg.pp.filter_genes(adata, groupby, **options)


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


def with_one_rare_cell(adata):
    adata.obs["cell_type"] = ["rare", *adata.obs["cell_type"].astype(str)[1:]]
