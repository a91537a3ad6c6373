"""Lengths of transcripts: the longest of each gene, summed over its exons."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import smash_gpu as smg
from smash_gpu.genes.gtf import transcript_lengths

# The form of GENCODE: nine columns, 1-based ends that are included, attributes in quotes.
GTF = """##description: made up
chr1\tX\tgene\t1\t9999\t.\t+\t.\tgene_id "ENSG00000000001.4"; gene_name "A";
chr1\tX\ttranscript\t1\t9999\t.\t+\t.\tgene_id "ENSG00000000001.4"; transcript_id "T1"; gene_name "A";
chr1\tX\texon\t1\t100\t.\t+\t.\tgene_id "ENSG00000000001.4"; transcript_id "T1"; gene_name "A"; exon_number 1;
chr1\tX\texon\t201\t250\t.\t+\t.\tgene_id "ENSG00000000001.4"; transcript_id "T1"; gene_name "A"; exon_number 2;
chr1\tX\texon\t1\t120\t.\t+\t.\tgene_id "ENSG00000000001.4"; transcript_id "T2"; gene_name "A"; exon_number 1;
chr1\tX\tCDS\t1\t5000\t.\t+\t.\tgene_id "ENSG00000000001.4"; transcript_id "T2"; gene_name "A"; exon_number 1;
chr2\tX\texon\t7\t7\t.\t-\t.\ttranscript_id "T3"; gene_id "ENSG00000000002.1";
chr2\tX\texon\t11\t50\t.\t-\t.\tgene_id "ENSG00000000003"; transcript_id "T4"; gene_name "A";
"""


@pytest.fixture(params=["a.gtf", "a.gtf.gz", "A.GTF"])
def path(request, tmp_path):
    found = tmp_path / request.param
    found.write_bytes(gzip.compress(GTF.encode()) if found.suffix == ".gz" else GTF.encode())
    return found


def test_the_exons_of_the_longest_transcript_are_summed(path):
    table = transcript_lengths(path).set_index("gene_id")
    assert table["length"].to_dict() == {"ENSG00000000001.4": 150, "ENSG00000000002.1": 1, "ENSG00000000003": 40}
    assert table["gene_name"]["ENSG00000000001.4"] == "A"


def test_genes_are_found_by_name_or_id_whatever_its_version(adata, path):
    adata.var_names = ["other name", "A", *adata.var_names[2:]]
    adata.var["gene_ids"] = ["ENSG00000000002.9", *[""] * 59]
    with pytest.warns(UserWarning, match="58 of 60 genes have no transcript length"):
        smg.pp.transcript_lengths(adata, str(path), key_added="bases")
    assert adata.var["bases"].tolist()[:2] == [1, 150]
    assert adata.var["bases"][2:].isna().all()


def test_the_id_decides_between_two_genes_of_one_symbol(adata, path):
    adata.var["symbol"] = ["A", "A", *adata.var_names[2:]]
    adata.var["gene_ids"] = ["ENSG00000000003", "ENSG00000000001", *[""] * 58]
    with pytest.warns(UserWarning, match="58 of 60"):
        smg.pp.transcript_lengths(adata, path, gene_symbols="symbol")
    assert adata.var["transcript_length"].tolist()[:2] == [40, 150]


def test_a_table_does_as_well_and_limits_use_it(adata, tmp_path):
    lengths = pd.DataFrame({"Gene name": adata.var_names, "Transcript length": np.arange(adata.n_vars) * 50})
    twice = pd.concat([lengths, lengths.assign(**{"Transcript length": 1})])
    twice.to_csv(tmp_path / "t.csv", index=False)
    smg.pp.transcript_lengths(adata, tmp_path / "t.csv")
    assert adata.var["transcript_length"].tolist() == [max(1, 50 * i) for i in range(60)]
    smg.tl.panel(adata, "cell_type", n_genes=5, limits={"transcript_length": (1000, None)})
    assert (adata.var["transcript_length"][smg.get.panel(adata)] >= 1000).all()


def test_features_that_are_no_genes_have_no_length(adata, path):
    adata.var_names = ["A", *adata.var_names[1:]]
    adata.var["feature_types"] = ["Gene Expression"] * 59 + ["Antibody Capture"]
    with pytest.warns(UserWarning, match="58 of 59 genes have no transcript length"):
        smg.pp.transcript_lengths(adata, path)
    assert len(adata.var["transcript_length"]) == 60


def test_what_holds_no_exons_is_refused(adata, tmp_path):
    (tmp_path / "a.gtf").write_text("chr1\tX\tgene\t1\t9\t.\t+\t.\tID=gene1\n")
    with pytest.raises(ValueError, match="a.gtf holds no exons with gene_id and transcript_id"):
        smg.pp.transcript_lengths(adata, tmp_path / "a.gtf")


def test_a_transcript_of_both_sex_chromosomes_is_counted_once(tmp_path):
    exon = '{}\tX\texon\t1\t100\t.\t+\t.\tgene_id "ENSG00000000001"; transcript_id "T1"; gene_name "A";\n'
    (tmp_path / "a.gtf").write_text(exon.format("chrX") + exon.format("chrY"))
    assert transcript_lengths(tmp_path / "a.gtf")["length"].tolist() == [100]


def test_a_line_with_ends_that_are_no_numbers_is_named(tmp_path):
    (tmp_path / "a.gtf").write_text('1\tX\texon\tone\t9\t.\t+\t.\tgene_id "A"; transcript_id "T";\n')
    with pytest.raises(ValueError, match="a.gtf, line 1: 'one' to '9' are no positions"):
        transcript_lengths(tmp_path / "a.gtf")


def test_a_compressed_file_that_breaks_off_is_said(tmp_path):
    whole = gzip.compress(GTF.encode())
    for part in (whole[:40], whole[:-9], b"no gzip"):
        (tmp_path / "a.gtf.gz").write_bytes(part)
        with pytest.raises(ValueError, match="a.gtf.gz is a damaged gzip file; copy or download it again"):
            transcript_lengths(tmp_path / "a.gtf.gz")
