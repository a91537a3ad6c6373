"""Lists of genes in files, as vendors, scanpy, R and Excel write them."""

from __future__ import annotations

import gzip

import pytest

from smash_gpu.genes.tables import read_genes, read_table

XENIUM = "Genes,Ensembl_ID,Num_Probesets,Codewords,Annotation\nA1,ENSG00000000001,8,1,B\nA2,ENSG00000000002,8,1,T\n"
LISTS = {
    "one per line": "A1\nA2\n",
    "a list in JSON": '["A1", "A2"]',
    "with a header": "Genes\nA1\nA2\n",
    "blank lines, spaces and a comment": "# my panel\n\n  A1 \n\nA2\n",
    "on one line": "A1,A2\n",
    "10x Xenium": XENIUM,
    "10x Xenium with semicolons": XENIUM.replace(",", ";"),
    "10x Xenium with tabs": XENIUM.replace(",", "\t"),
    "10x probe set": "#format=1.0\ngene_id,probe_seq,gene_name\nENSG00000000001,ACG,A1\nENSG00000000002,G,A2\n",
    "rank_genes_groups_df": ",group,names,scores\n0,B,A1,31.0\n1,T,A2,30.2\n",
    "a column symbol": "symbol,score\nA1,3\nA2,2\n",
    "a column Gene Symbol": '"Gene Symbol","score"\n"A1","3"\n"A2","2"\n',
    "a column gene of ids and one of symbols": "gene,symbol\nENSG00000000001,A1\nENSG00000000002,A2\n",
    "rows of var": ",n_cells,feature_types\nA1,5,Gene Expression\nA2,7,Gene Expression\n",
    "a cell type called name": "name,gene\nB cell,A1\nT cell,A2\n",
    "R, with row names": "p_val\tcluster\tgene\n1\t0.01\tB\tA1\n2\t0.02\tT\tA2\n",
    "R, genes as row names": "p_val\tcluster\nA1\t0.01\tB\nA2\t0.02\tT\n",
    "a comma at every end": "gene,score\nA1,3,\nA2,2,\n",
    "no header, numbers": "A1,0.5\nA2,0.25\n",
    "no header, row numbers": "1\tA1\n2\tA2\n",
    "features.tsv": "ENSG00000000001\tA1\tGene Expression\nENSG00000000002\tA2\tGene Expression\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("encode", [str.encode, lambda s: s.encode("utf-16"), lambda s: gzip.compress(s.encode())])
def test_the_names_are_read(tmp_path, text, encode):
    (tmp_path / "list").write_bytes(encode(text))
    assert read_genes(tmp_path / "list") == ["A1", "A2"]


def test_a_file_that_excel_saved_is_read(tmp_path):
    (tmp_path / "list.csv").write_bytes("gene;Größe\nA1;5 µm\n".encode("cp1252"))
    assert read_genes(tmp_path / "list.csv") == ["A1"]


def test_what_is_no_text_is_said(tmp_path):
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04\xff\xfe\x00\x01" * 9)
    with pytest.raises(ValueError, match="list.xlsx is an Excel workbook or a zip file; save the sheet"):
        read_genes(tmp_path / "list.xlsx")
    (tmp_path / "list").write_bytes(b"\x00\x01\xff\xfe" * 9)
    with pytest.raises(ValueError, match="list is not a text file; give one gene per line"):
        read_genes(tmp_path / "list")


def test_a_compressed_file_that_breaks_off_is_said(tmp_path):
    whole = gzip.compress(b"gene\n" + b"".join(b"A%d\n" % number for number in range(999)))
    for part in (whole[:20], whole[:-12], whole[:15] + b"\x00" * 99):
        (tmp_path / "list.csv.gz").write_bytes(part)
        with pytest.raises(ValueError, match="list.csv.gz is a damaged gzip file; copy or download it again"):
            read_genes(tmp_path / "list.csv.gz")


def test_the_line_with_which_excel_names_the_separator_is_left_out(tmp_path):
    (tmp_path / "list.csv").write_text("sep=;\nGene;Score\nA1;5\n")
    assert read_genes(tmp_path / "list.csv") == ["A1"]


def test_the_ids_of_a_list_come_with_the_names_and_stand_for_missing_ones(tmp_path):
    (tmp_path / "list").write_text(XENIUM.replace("A2", ""))
    genes = read_genes(tmp_path / "list")
    assert genes == ["A1", "ENSG00000000002"]
    assert [gene.ensembl for gene in genes] == ["ENSG00000000001", "ENSG00000000002"]


def test_a_gene_called_nan_is_a_gene(tmp_path):
    (tmp_path / "list").write_text("gene,score\nnan,1\nNA,2\n")
    assert read_genes(tmp_path / "list") == ["nan", "NA"]


BAD = {
    "a panel of no genes": ('{"payload": {"targets": []}}', "is JSON and holds no genes"),
    "JSON": ('{"genes": 3}', "is JSON, but neither the gene_panel.json"),
    "numbers in JSON": ("[1, 2]", "is JSON, but neither the gene_panel.json"),
    "JSON that breaks off": ('{"payload": {"targets": [', "begins as JSON and is not"),
    "a panel without targets": ('{"payload": null}', "is JSON, but neither the gene_panel.json"),
    "a panel of numbers": ('{"payload": {"targets": 5}}', "is JSON, but neither the gene_panel.json"),
    "targets that are none": ('{"payload": {"targets": [1]}}', "is JSON, but neither the gene_panel.json"),
    "targets of null": ('{"payload": {"targets": [{"type": null}, {"type": {"data": null}}]}}', "holds no genes"),
    "unknown columns": (
        "Locus,Panel\nA1,x\nA2,y\n",
        "has the columns Locus, Panel; none of them is called name, gene",
    ),
    "nothing": ("\n\n", "holds no genes"),
    "a header only": ("gene,score\n", "holds no genes"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_said_with_the_file(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=f"list.csv.*{message}"):
        read_genes(tmp_path / "list.csv")


def test_the_numbers_of_a_table_are_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("gene,probes,price,kind\nA1,3,0.5,x\nA2,NA,,\n")
    values = read_table(tmp_path / "t.csv").values
    assert values["probes"].tolist()[0] == 3
    assert values[["probes", "price"]].iloc[1].isna().all()
    assert values["kind"][0] == "x"
