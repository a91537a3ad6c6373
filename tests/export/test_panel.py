"""Files for vendors and the reference bundle."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmread

import smash_gpu as smg
from smash_gpu.cli.inputs import gene_list


def test_vendors_lists_are_read_back(designed, tmp_path):
    designed.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(designed.n_vars)]
    smg.export.xenium(designed, tmp_path / "xenium.csv")
    smg.export.merscope(designed, tmp_path / "merscope.csv")
    table = pd.read_csv(tmp_path / "xenium.csv", keep_default_na=False)
    assert list(table) == ["Gene", "Ensembl ID", "Probe sets", "Force"]
    assert table["Force"].tolist() == ["forced"] + [""] * 11
    ids = designed.var["gene_ids"][table["Gene"]]
    assert table["Ensembl ID"].tolist() == ids.tolist()
    for name in ("xenium.csv", "merscope.csv"):
        assert gene_list(tmp_path / name) == smg.get.panel(designed)


def test_absent_ensembl_ids_are_left_empty_with_a_warning(designed, tmp_path):
    with pytest.warns(UserWarning, match="pass ensembl_key="):
        smg.export.xenium(designed, tmp_path / "xenium.csv")
    with pytest.raises(KeyError, match="no column 'ids'"):
        smg.export.xenium(designed, tmp_path / "xenium.csv", ensembl_key="ids")


def with_gaps(adata):
    """Genes without a symbol, and without an Ensembl id."""
    adata.var_names = [f"LOC{i}" for i in range(adata.n_vars)]
    adata.var["symbol"] = [np.nan if i < 6 else f"SYM{i}" for i in range(adata.n_vars)]
    adata.var["gene_ids"] = [np.nan if i < 12 else f"ENSG{i:011d}" for i in range(adata.n_vars)]


@pytest.mark.parametrize("suffix", [None, "h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:.*fewer markers:UserWarning")
def test_a_gene_without_symbol_goes_by_its_name_and_an_unknown_id_is_empty_and_named(adata, tmp_path, suffix):
    with_gaps(adata)
    if suffix is not None:
        getattr(adata, f"write_{suffix}")(tmp_path / f"cells.{suffix}")
        adata = smg.read(tmp_path / f"cells.{suffix}")
    smg.tl.panel(adata, "cell_type", n_genes=4, gene_symbols="symbol", include=["LOC1", "SYM7", "SYM30"])
    table = smg.get.panel_table(adata).set_index("name")
    assert table["symbol"][["LOC1", "LOC7", "LOC30"]].tolist() == ["LOC1", "SYM7", "SYM30"]
    named = [table["symbol"][name] for name in table.index if int(name[3:]) < 12]
    with pytest.warns(UserWarning, match=rf"ids of {len(named)} of 4 genes.*left empty: {', '.join(named)};"):
        smg.export.xenium(adata, tmp_path / "xenium.csv")
    with pytest.warns(UserWarning, match=rf"ids of {len(named)} of 4 genes.*left empty: {', '.join(named)};"):
        smg.export.merscope(adata, tmp_path / "merscope.csv")
    for name in ("xenium.csv", "merscope.csv"):
        text = (tmp_path / name).read_text()
        assert "nan" not in text
        assert all(row in text for row in ("LOC1,,", "SYM7,,", "SYM30,ENSG00000000030,"))
    with pytest.warns(UserWarning, match="ids of 12 of 60 genes"):
        smg.export.xenium_reference(adata, tmp_path / "r", groupby="cell_type", gene_symbols="symbol")
    assert lines(tmp_path / "r" / "features.tsv.gz")[5:7] == ["\tLOC5\tGene Expression", "\tSYM6\tGene Expression"]


def test_missing_ids_are_taken_from_a_table(adata, tmp_path):
    with_gaps(adata)
    smg.tl.panel(adata, "cell_type", n_genes=4, gene_symbols="symbol", include=["LOC1", "SYM7", "SYM30"])
    features = tmp_path / "features.tsv.gz"
    with gzip.open(features, "wt") as file:
        file.writelines(f"ENSG9{i:010d}\t{'LOC' if i < 6 else 'SYM'}{i}\tGene Expression\n" for i in range(60))
    smg.export.xenium(adata, tmp_path / "xenium.csv", ensembl_table=features)
    ids = pd.read_csv(tmp_path / "xenium.csv").set_index("Gene")["Ensembl ID"]
    assert ids[["LOC1", "SYM7", "SYM30"]].tolist() == ["ENSG90000000001", "ENSG90000000007", "ENSG00000000030"]


@pytest.mark.parametrize("column", ["gene_id", "Ensembl ID", "feature_id"])
def test_ids_are_found_by_the_usual_names_of_the_column(adata, tmp_path, column):
    adata.var[column] = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    smg.tl.panel(adata, "cell_type", n_genes=3)
    smg.export.xenium(adata, tmp_path / "xenium.csv")
    found = pd.read_csv(tmp_path / "xenium.csv")
    assert found["Ensembl ID"].tolist() == adata.var[column][found["Gene"]].tolist()


def test_forced_genes_may_be_any_list(designed, tmp_path):
    second = smg.get.panel(designed)[1]
    smg.export.xenium(designed, tmp_path / "xenium.csv", forced=pd.DataFrame({"gene": [second]}))
    table = pd.read_csv(tmp_path / "xenium.csv").set_index("Gene")
    assert table["Force"].dropna().index.tolist() == [second]
    with pytest.raises(KeyError, match="forced: genes not in the data: 'XIST'"):
        smg.export.xenium(designed, tmp_path / "xenium.csv", forced=["XIST"])


def lines(path):
    with gzip.open(path, "rt") as file:
        return file.read().splitlines()


def test_the_reference_bundle_holds_the_counts(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    adata.var["symbol"] = [f"S{i}" for i in range(adata.n_vars)]
    adata.X[-1, 0] = 1_000_000  # more digits than other counts
    smg.export.xenium_reference(adata, tmp_path, groupby="cell_type", gene_symbols="symbol")
    with gzip.open(tmp_path / "matrix.mtx.gz") as file:
        matrix = mmread(file).toarray()
    assert np.array_equal(matrix.T, adata.X.toarray())
    assert lines(tmp_path / "features.tsv.gz")[7] == "ENSG00000000007\tS7\tGene Expression"
    assert lines(tmp_path / "barcodes.tsv.gz") == list(adata.obs_names)
    types = pd.read_csv(tmp_path / "celltypes.csv")
    assert list(types) == ["barcode", "annotation"]
    assert types["annotation"].tolist() == adata.obs["cell_type"].tolist()


def test_the_bundle_stays_below_its_size_and_keeps_the_shares(adata, tmp_path):
    most = 60_000
    with pytest.warns(UserWarning, match="of 240 cells fit"):
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type", max_bytes=most)
    size = sum(len("\n".join(lines(p))) if p.suffix == ".gz" else p.stat().st_size for p in tmp_path.iterdir())
    assert 0.3 * most < size <= most
    kept = pd.read_csv(tmp_path / "celltypes.csv")["annotation"].value_counts(normalize=True)
    assert np.allclose(kept, adata.obs["cell_type"].value_counts(normalize=True)[kept.index], atol=0.03)
    with gzip.open(tmp_path / "matrix.mtx.gz") as file:
        matrix = mmread(file).toarray().T
    assert np.array_equal(matrix, adata[lines(tmp_path / "barcodes.tsv.gz")].X.toarray())
    with pytest.raises(ValueError, match="no room for a single cell"):
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type", max_bytes=100)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense", "h5ad"])
def test_fractions_are_rounded_with_a_warning_and_zeros_are_not_written(adata, tmp_path, kind):
    counts = adata.X.toarray()
    counts[:, 0] += 30  # without a value above 20 they would pass for logarithms
    adata.X = np.where(counts > 0, np.maximum(counts - 0.4, 0.1), 0).astype(np.float32)  # as after SoupX
    expected = np.rint(adata.X)
    if kind != "dense":
        adata.X = sparse.csc_matrix(adata.X) if kind == "csc" else sparse.csr_matrix(adata.X)
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    if kind == "h5ad":
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = smg.read(tmp_path / "cells.h5ad")
    with pytest.warns(UserWarning, match="values are fractions, as after a correction for ambient RNA. .* rounded"):
        smg.export.xenium_reference(adata, tmp_path / "out", groupby="cell_type")
    with gzip.open(tmp_path / "out" / "matrix.mtx.gz") as file:
        matrix = mmread(file)
    assert np.array_equal(matrix.toarray().T, expected)
    assert matrix.nnz == np.count_nonzero(expected)


def test_whole_counts_are_written_without_a_warning_and_stored_zeros_not_at_all(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    adata.X.data[::3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type")
    with gzip.open(tmp_path / "matrix.mtx.gz") as file:
        assert mmread(file).nnz == np.count_nonzero(adata.X.data)


def test_a_log_normalised_matrix_is_refused_before_anything_is_written(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    adata.X.data = np.log1p(adata.X.data)
    with pytest.raises(ValueError, match="log-normalised"):
        smg.export.xenium_reference(adata, tmp_path / "out", groupby="cell_type")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", [np.log1p, lambda x: np.log1p(x / x.max() * 30)])
def test_the_way_out_for_logarithms_is_never_to_say_that_they_are(adata, tmp_path, change):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    counts = adata.X.copy()
    adata.X = adata.X.copy()
    adata.X.data = change(adata.X.data)
    with pytest.raises(ValueError, match="needs raw counts, but the matrix .*log-normalised") as refused:
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type")
    assert "normalize=False" not in str(refused.value)
    assert "Pass layer= for the layer that holds the counts" in str(refused.value)
    adata.layers["raw"] = counts
    with pytest.raises(ValueError, match="layer='raw'") as refused:
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type")
    assert "normalize=False" not in str(refused.value)


def test_a_barcode_that_occurs_twice_gets_a_suffix_and_keeps_its_type(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    names = [f"cell{i % 100}" for i in range(adata.n_obs)]
    names[7] = "cell3-1"
    adata.obs_names = names
    with pytest.warns(UserWarning, match="239 of 240 cells share their barcode with another"):
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type")
    barcodes = lines(tmp_path / "barcodes.tsv.gz")
    assert len(set(barcodes)) == len(barcodes) == adata.n_obs
    assert (barcodes[3], barcodes[7], barcodes[103], barcodes[203]) == ("cell3", "cell3-1", "cell3-2", "cell3-3")
    types = pd.read_csv(tmp_path / "celltypes.csv")
    assert types["barcode"].tolist() == barcodes
    assert types["annotation"].tolist() == adata.obs["cell_type"].tolist()
    assert adata.obs_names.tolist() == names


def test_a_cell_type_of_one_cell_is_left_out(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    labels = adata.obs["cell_type"].astype(object)
    labels.iloc[5] = "lonely"
    adata.obs["cell_type"] = labels
    with pytest.warns(UserWarning, match=r"lonely \(1\)"):
        smg.export.xenium_reference(adata, tmp_path, groupby="cell_type")
    assert lines(tmp_path / "barcodes.tsv.gz") == list(np.delete(adata.obs_names, 5))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0.0, "0"), (1234.4, "1230"), (0.012345, "0.0123"), (2.0, "2"), (98765.0, "98800"), (0.00001234, "0.0000123")],
)
def test_merscope_counts_have_three_significant_digits(designed, tmp_path, count, text):
    table = designed.uns["smash_panel"]["genes"].copy()
    table["mean_counts"] = count
    designed.uns["smash_panel"]["genes"] = table
    designed.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(designed.n_vars)]
    smg.export.merscope(designed, tmp_path / "merscope.csv")
    assert pd.read_csv(tmp_path / "merscope.csv", dtype=str)["Counts per cell"].unique().tolist() == [text]


def test_without_counts_merscopes_column_is_empty(adata, tmp_path):
    adata.X.data = np.log1p(adata.X.data)
    adata.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    smg.tl.panel(adata, "cell_type", n_genes=3, normalize=False)
    smg.export.merscope(adata, tmp_path / "merscope.csv")
    assert pd.read_csv(tmp_path / "merscope.csv")["Counts per cell"].isna().all()
