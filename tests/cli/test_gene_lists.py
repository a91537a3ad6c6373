"""Lists and tables of genes as people have them, given to the commands."""

from __future__ import annotations

import anndata as ad
import pandas as pd
import pytest
from cases.commands import assert_one_message, changed, evaluate, find, written

GENES = ["MARKER0X", "MARKER1X"]
XENIUM = ("Genes,Ensembl_ID,Num_Probesets,Codewords,Annotation", "MARKER0X,ENSG00000000001,8,1,B", "MARKER1X,E2,8,1,T")
TABLES = {
    "10x": XENIUM,
    "10x with semicolons": [line.replace(",", ";") for line in XENIUM],
    "scanpy": (",group,names,scores", "0,A,MARKER0X,31.0", "1,B / b,MARKER1X,30.2"),
    "symbols": ("symbol,score", "MARKER0X,3", "MARKER1X,2"),
}


def panel(run, data, *options):
    return run("panel", data, "--groupby", "cell_type", "--n-genes", 5, "--no-figures", *options)


@pytest.mark.slow
@pytest.mark.parametrize("lines", TABLES.values(), ids=TABLES)
def test_tables_of_vendors_and_scanpy_are_read_by_every_command(run, data, tmp_path, lines):
    path, out = written(tmp_path / "genes.csv", *lines), tmp_path / "out"
    code, said, error = evaluate(run, data, path, "--protocol", "paper", "--missing", "raise")
    assert code == 0, error
    assert "genes (2 genes)" in said
    code, _, error = panel(run, data, "--include", path, "--out", out)
    assert code == 0, error
    assert set(GENES) <= set(pd.read_csv(out / "panel.csv")["name"])
    code, _, error = panel(run, data, "--extend", path, "--out", out)
    assert code == 0, error
    assert not set(GENES) & set(pd.read_csv(out / "panel.csv")["name"])
    code, _, error = find(run, data, "--exclude", path, "--out", out)
    assert code == 0, error
    assert not set(GENES) & set(pd.read_csv(out / "markers.csv")["name"])


def test_json_and_unknown_columns_are_answered_with_the_file(run, data, tmp_path):
    path = written(tmp_path / "gene_panel.json", '{"payload": {"targets": []}}')
    assert_one_message(evaluate(run, data, path), "gene_panel.json is JSON and holds no genes")
    path = written(tmp_path / "targets.csv", "Locus,Panel", "MARKER0X,a")
    assert_one_message(evaluate(run, data, path), "targets.csv", "the table has the columns Locus, Panel", "gene")


def test_a_printed_panel_is_extended_by_what_the_data_hold_and_the_rest_is_named(run, data, tmp_path):
    absent = [f"PROBE{i}" for i in range(12)]
    path = written(tmp_path / "printed.txt", *GENES, *absent)
    code, said, error = panel(run, data, "--extend", path, "--out", tmp_path / "out")
    assert code == 0, error
    assert "On the slide: 19 genes, 14 of the existing panel, 12 of them not in the data" in said
    assert "note: extend: 12 of 14 genes are on the slide but not in the data;" in error
    assert f"classes: {', '.join(absent)}." in error
    assert len(pd.read_csv(tmp_path / "out" / "slide.csv")) == 14 + 5
    only = panel(run, data, "--extend", written(tmp_path / "only.txt", *GENES), "--out", tmp_path / "only")
    assert only[0] == 0
    found, expected = (pd.read_csv(tmp_path / name / "panel.csv") for name in ("out", "only"))
    pd.testing.assert_frame_equal(found, expected)
    assert panel(run, data, "--extend", written(tmp_path / "none.txt", *absent))[0] == 0
    assert_one_message(panel(run, data, "--include", path), "include: genes not in the data", "'PROBE0'", "'PROBE11'")


def test_genes_that_the_data_lack_are_left_out_or_an_error(run, data, tmp_path):
    path = written(tmp_path / "list.txt", *GENES, "ABSENT")
    code, _, error = evaluate(run, data, path, "--protocol", "paper")
    assert code == 0
    assert "note: genes['list']: 1 of 3 genes left out, because the data lack them: ABSENT." in error
    assert_one_message(evaluate(run, data, path, "--missing", "raise"), "genes['list']", "'ABSENT'")


def to_ids(adata):
    adata.var["feature_name"] = pd.Categorical(adata.var_names)
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]


def to_shared_symbol(adata):
    adata.var["feature_name"] = ["TWICE", "TWICE", *adata.var_names[2:]]
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]


@pytest.mark.slow
def test_a_symbol_of_two_genes_takes_one_place(run, data, tmp_path):
    changed(data, to_shared_symbol)
    path, out, symbols = written(tmp_path / "two.txt", "TWICE", "MARKER1X"), tmp_path / "out", "feature_name"
    said = "TWICE: ENSG00000000000, ENSG00000000001). Name the id you mean."
    for sizes in ((), ("--n-genes", 2)):
        code, _, error = evaluate(run, data, path, "--gene-symbols", symbols, "--n-splits", 2, "--out", out, *sizes)
        assert code == 0, error
        assert said in error
        assert set(pd.read_csv(out / "splits.csv")["n_genes"]) == {2}
    code, _, error = panel(run, data, "--gene-symbols", symbols, "--include", path, "--out", out)
    assert code == 0, error
    assert said in error
    table = pd.read_csv(out / "xenium.csv")
    assert sorted(table["Gene"][table["Force"] == "forced"]) == ["MARKER1X", "TWICE"]


@pytest.mark.parametrize("by", ["symbol", "id", "both"])
def test_a_gene_table_is_found_by_symbol_or_id(run, data, tmp_path, by):
    changed(data, to_ids)
    var = ad.read_h5ad(data).var
    symbols, ids = var["feature_name"].astype(str).tolist(), var.index.tolist()
    names = {"symbol": symbols, "id": ids, "both": [*symbols[:30], *ids[30:]]}[by]
    rows = [f"{name},{i % 9}" for i, name in enumerate(names)]
    table, out = written(tmp_path / "probes.csv", "gene,probes", *rows, "ABSENT,9"), tmp_path / "out"
    options = ("--gene-symbols", "feature_name", "--gene-table", table, "--limit", "probes", 5, "-", "--out", out)
    code, _, error = panel(run, data, *options)
    assert code == 0, error
    assert "probes.csv: 1 of 61 rows are of no gene in the data: ABSENT." in error
    assert all(int(name[4:]) % 9 >= 5 for name in pd.read_csv(out / "panel.csv")["name"])


def test_a_gene_table_without_a_gene_of_the_data_is_answered(run, data, tmp_path):
    table = written(tmp_path / "probes.csv", "gene,probes", "ABSENT,9")
    assert_one_message(panel(run, data, "--gene-table", table), "probes.csv: none of its genes (ABSENT)")


def test_transcript_lengths_come_from_a_file_of_genes(run, data, tmp_path):
    names = ad.read_h5ad(data).var_names
    exons = [f'1\tX\texon\t1\t{10 * i + 10}\t.\t+\t.\tgene_id "E{i}"; transcript_id "T{i}"; gene_name "{name}";'
             for i, name in enumerate(names)]  # fmt: skip
    gtf, out = written(tmp_path / "genes.gtf", *exons), tmp_path / "out"
    asked = ("--transcript-lengths", gtf, "--limit", "transcript_length", 300, "-")
    code, _, error = panel(run, data, *asked, "--out", out)
    assert code == 0, error
    assert all(list(names).index(name) >= 29 for name in pd.read_csv(out / "panel.csv")["name"])
    checked = run("validate", out / "xenium.csv", "--reference", data, "--groupby", "cell_type", *asked)
    assert checked[0] == 0, checked[2]
    short = written(tmp_path / "short.txt", names[0])
    assert run("validate", short, "--reference", data, "--groupby", "cell_type", *asked)[0] == 1
    assert_one_message(panel(run, data, "--transcript-lengths", tmp_path / "gene.gtf"), "'genes.gtf'")


def test_missing_ids_come_from_a_table(run, data, tmp_path):
    first, *others = ad.read_h5ad(data).var_names
    rows = [f"{name},ENSG{i:011d}" for i, name in enumerate(others)]
    table, include = written(tmp_path / "ids.csv", "symbol,ensembl_id", *rows), written(tmp_path / "include", first)
    code, _, error = panel(run, data, "--ensembl-table", table, "--include", include, "--out", tmp_path / "out")
    assert code == 0, error
    assert f"Ensembl ids of 1 of 5 genes are not known and are left empty: {first}" in error
    ids = pd.read_csv(tmp_path / "out" / "xenium.csv").set_index("Gene")["Ensembl ID"].dropna()
    assert [others[int(known[4:])] for known in ids] == ids.index.tolist()
    assert len(ids) == 4
