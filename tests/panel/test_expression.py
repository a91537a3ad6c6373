"""Expression levels over all cells, by plain arithmetic on the dense matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.panel import expression


def levels(X):
    X = np.asarray(X, dtype=float)
    return np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))


def test_the_quantile_is_the_highest_level_that_one_cell_in_a_hundred_reaches(hold, rng):
    adata = planted(rng, n_cells=250, n_genes=40)
    dense, names = levels(adata.X.toarray()), adata.var_names.to_numpy()
    group, groups = pd.factorize(adata.obs["cell_type"])
    found = expression.expression_q99(Dataset(hold(adata.X), group, groups, names, names, device=hold.device))
    for gene, level in enumerate(found):
        assert level == pytest.approx(0.05 * round(level / 0.05))
        assert level == 0 or (dense[:, gene] >= level - 1e-9).mean() >= 0.01
        assert (dense[:, gene] >= level + 0.05 + 1e-9).mean() < 0.01


def test_cells_without_a_class_do_not_count(adata):
    whole = adata[adata.obs["cell_type"] != "A"].copy()
    labels = adata.obs["cell_type"].astype(object)
    labels[labels == "A"] = None
    adata.obs["cell_type"] = labels.astype("category")
    found = [expression.expression_q99(read(one, {"groupby": "cell_type"})) for one in (adata, whole)]
    np.testing.assert_array_equal(*found)


def test_counts_per_million(adata):
    sums = adata.X.toarray().astype(float).sum(axis=0)
    found = expression.counts_per_million(read(adata, {"groupby": "cell_type"}))
    np.testing.assert_allclose(found, 1e6 * sums / sums.sum())


def test_a_limit_on_the_quantile_needs_no_column(adata):
    smg.tl.panel(adata, "cell_type", n_genes=5, limits={"expression_q99": (5.5, None)})
    chosen = adata[:, smg.get.panel(adata)].X.toarray()
    scaled = np.log1p(1e4 * chosen / adata.X.toarray().sum(axis=1, keepdims=True))
    assert ((scaled >= 5.5).mean(axis=0) >= 0.01).all()
    assert "expression_q99" not in adata.var


def test_a_column_of_that_name_is_used_as_it_is(adata):
    adata.var["expression_q99"] = np.arange(adata.n_vars, dtype=float)
    smg.tl.panel(adata, "cell_type", n_genes=5, limits={"expression_q99": (50, None)})
    assert min(adata.var_names.get_indexer(smg.get.panel(adata))) >= 50


def test_rare_classes_are_named_where_the_quantile_cannot_see_them(rng):
    adata = planted(rng, n_cells=400, n_genes=60)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:3] = "rare"
    adata.obs["cell_type"] = labels
    with pytest.warns(UserWarning, match=r"a class below 1% of them alone does not reach 1 \(rare\)"):
        smg.tl.panel(adata, "cell_type", n_genes=5, limits={"expression_q99": (1, None)})
