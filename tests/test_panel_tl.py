"""tl.panel: its slots, tables, plots, files for vendors, and the command."""

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.io import mmread

import smash_gpu as smg
from smash_gpu import cli
from smash_gpu.annotated import slots
from smash_gpu.cli.inputs import gene_list

TABLES = ("genes", "pairs", "purposes", "curve", "rules", "caps", "certificate")
PNG = b"\x89PNG"


@pytest.fixture
def two_columns(adata):
    """With sub-types of the first type."""
    fine = adata.obs["cell_type"].astype(str)
    high = np.asarray(adata.X[:, 40].todense()).ravel() > 0
    adata.obs["fine"] = pd.Categorical(np.where((fine == "A") & high, "A/2", fine))
    return adata


@pytest.fixture
def designed(two_columns):
    smg.tl.panel(
        two_columns, ["cell_type", "fine"], n_genes=12, include=["NOISE30"], max_transcripts=40.0, min_markers=2,
        pair_weights={("A", "CD4+ T"): 2.0}, class_weights={"B / b": 2.0}, exclude=["NOISE31"],
    )  # fmt: skip
    return two_columns


def test_the_panel_is_in_its_slots(designed):
    genes = smg.get.panel(designed)
    assert len(set(genes)) == 12
    assert genes[0] == "NOISE30"
    assert designed.var_names[designed.var["smash_panel"]].isin(genes).all()
    assert designed.var["smash_panel"].sum() == 12
    table = smg.get.panel_table(designed)
    assert table["rank"].tolist() == list(range(1, 13))
    assert not set(table["substitute"]) & set(genes)
    assert (table["loss_with_substitute"] <= table["loss"] + 1e-12).all()
    assert len(smg.get.panel_table(designed, "pairs")) == 3 + 6


@pytest.mark.parametrize("write", ["h5ad", "zarr"])
def test_everything_survives_a_file(designed, tmp_path, write):
    path = tmp_path / f"x.{write}"
    getattr(designed, f"write_{write}")(path)
    back = ad.read_h5ad(path) if write == "h5ad" else ad.read_zarr(path)
    assert smg.get.panel(back) == smg.get.panel(designed)
    for table in TABLES:
        before, after = (smg.get.panel_table(a, table) for a in (designed, back))
        pd.testing.assert_frame_equal(before, after, check_dtype=False, check_categorical=False, check_index_type=False)


def test_what_was_asked_is_noted(designed):
    noted = slots.recorded(designed, "smash_panel", "panel")
    assert noted["groupby"] == ("cell_type = 1.0", "fine = 1.0")
    assert noted["pair_weights"] == ("A | CD4+ T = 2.0",)
    assert noted["tau"] == pytest.approx(3.6)


def test_the_list_can_be_judged(designed):
    smg.tl.evaluate(designed, "cell_type", genes=smg.get.panel(designed))
    assert smg.get.evaluation(designed).loc["misclassification", "mean"] < 0.05


def test_a_mask_of_the_filters_is_obeyed(adata):
    adata.var["good"] = ~adata.var_names.str.startswith("MARKER0")
    smg.tl.panel(adata, "cell_type", n_genes=10, mask_var="good")
    assert not any(name.startswith("MARKER0") for name in smg.get.panel(adata))
    with pytest.raises(KeyError, match="no column 'bad'"):
        smg.tl.panel(adata, "cell_type", n_genes=10, mask_var="bad")


def test_broken_promises_are_a_warning_with_a_table(adata):
    with pytest.warns(UserWarning, match="fewer markers than promised"):
        smg.tl.panel(adata, "cell_type", n_genes=20, min_markers=19)
    assert len(smg.get.panel_table(adata, "certificate")) == 3


def test_a_cell_of_the_second_column_needs_a_sample_too(two_columns):
    two_columns.obs["cell_type"] = two_columns.obs["cell_type"].astype(object)
    two_columns.obs.iloc[0, two_columns.obs.columns.get_loc("cell_type")] = np.nan
    two_columns.obs.iloc[0, two_columns.obs.columns.get_loc("sample")] = np.nan
    with pytest.raises(ValueError, match="no value in sample_key='sample'"):
        smg.tl.panel(two_columns, ["cell_type", "fine"], n_genes=5, sample_key="sample")
    smg.tl.panel(two_columns, "cell_type", n_genes=5, sample_key="sample")


def test_nothing_is_written_if_there_is_no_panel(adata):
    with pytest.raises(ValueError, match="no 20 genes fit"):
        smg.tl.panel(adata, "cell_type", n_genes=20, max_transcripts=1.0)
    assert "smash_panel" not in adata.uns


def test_an_unknown_option_or_table_is_named(adata):
    with pytest.raises(TypeError, match="no option 'max_transcript'"):
        smg.tl.panel(adata, "cell_type", max_transcript=3)
    with pytest.raises(KeyError, match="run tl.panel"):
        smg.get.panel_table(adata)
    smg.tl.panel(adata, "cell_type", n_genes=3)
    with pytest.raises(KeyError, match="tables: genes, pairs"):
        smg.get.panel_table(adata, "pears")


def test_plots_return_axes(designed):
    assert smg.pl.panel_curve(designed).get_xlabel() == "genes"
    labels = [t.get_text() for t in smg.pl.panel_pairs(designed, column="fine").get_yticklabels()]
    assert len(labels) == 6
    assert "A  ↔  A/2" in labels
    assert len(smg.pl.panel_resolution(designed).get_xticklabels()) == 3
    with pytest.raises(KeyError, match="not chosen for the column 'coarse'"):
        smg.pl.panel_resolution(designed, column="coarse")


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


@pytest.fixture
def run(capsys):
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        code = cli.main([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def data(two_columns, tmp_path):
    two_columns.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_the_command_writes_what_vendors_and_readers_take(run, data, tmp_path):
    (tmp_path / "table.csv").write_text(
        "gene,probes,price\n" + "\n".join(f"NOISE{i},{i},1" for i in range(9, 60)) + "\nMARKER1X,9,1"
    )
    (tmp_path / "must.txt").write_text("NOISE30\n")
    out = tmp_path / "out"
    code, said, error = run(
        "panel", data, "--groupby", "cell_type", "fine", "--column-weights", 2, 1, "--n-genes", 8, "--include",
        tmp_path / "must.txt", "--max-transcripts", 30, "--max-counts", "-", 20, "--gene-table", tmp_path / "table.csv",
        "--limit", "probes", 5, "-", "--pair", "A", "A/2", 3, "--min-markers", 1, "--exclude-families", "ribosomal",
        "--xenium-reference", "--out", out,
    )  # fmt: skip
    assert code == 0, error
    assert "8 genes, in the order of choice" in said
    assert "The fullest caps" in said
    panel = pd.read_csv(out / "panel.csv")
    assert panel["name"][0] == "NOISE30"
    assert set(panel["name"][1:]) <= {"MARKER1X", *(f"NOISE{i}" for i in range(9, 60))}
    assert {p.name for p in out.iterdir()} >= {
        "pairs.csv", "purposes.csv", "curve.csv", "rules.csv", "caps.csv", "certificate.csv", "xenium.csv",
        "merscope.csv", "params.json", "curve.png", "unresolved.png", "xenium_reference",
    }  # fmt: skip
    assert (out / "curve.png").read_bytes().startswith(PNG)
    assert (out / "xenium_reference" / "matrix.mtx.gz").exists()
    code, said, _ = run("evaluate", data, "--groupby", "cell_type", "--genes", out / "xenium.csv")
    assert code == 0
    assert "8 genes" in said


def test_the_command_says_what_is_in_the_way(run, data, tmp_path):
    code, _, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 30, "--max-transcripts", 2)
    assert code == 2
    assert "no 30 genes fit the caps together" in error
    assert "raise it by" in error
    code, _, error = run("panel", data, "--groupby", "cell_type", "--column-weights", 1, 2)
    assert "2 weights for 1 columns" in error


def test_parquet_is_asked_for_before_anything_is_computed(run, data, monkeypatch):
    monkeypatch.setattr("smash_gpu.cli.panel.find_spec", lambda _: None)
    code, said, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 5, "--tables", "parquet")
    assert (code, said) == (2, "")
    assert "pip install pyarrow" in error
