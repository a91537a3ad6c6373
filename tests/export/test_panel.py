"""Files for vendors and the reference bundle."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
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


def lines(path):
    with gzip.open(path, "rt") as file:
        return file.read().splitlines()


def test_the_reference_bundle_holds_the_counts(adata, tmp_path):
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    adata.var["symbol"] = [f"S{i}" for i in range(adata.n_vars)]
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
