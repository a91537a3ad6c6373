"""What the steps read: symbols, layers, raw counts, logged values."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.steps import expression, filter_genes, importance, results, smash
from scipy import sparse

import smash_gpu as smg


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
