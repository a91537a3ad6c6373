"""Ensembl ids of a list before it is ordered: those of the reference, none missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import smash_gpu as smg
from smash_gpu.errors import NotFoundError
from smash_gpu.genes.tables import Gene

GOOD = ["MARKER0X", "MARKER1X", "MARKER2X", "NOISE30"]


def found(adata, genes=GOOD, **options):
    """Verdict, sentence and genes of every finding on ids."""
    smg.tl.validate(adata, "cell_type", genes=genes, **options)
    checks = smg.get.validation(adata)
    rows = checks[checks["check"] == "Ensembl ids"]
    return list(rows[["verdict", "detail", "genes"]].itertuples(index=False, name=None))


def ids(adata):
    return pd.Series([f"ENSG{number:011d}" for number in range(adata.n_vars)], adata.var_names)


@pytest.fixture
def with_ids(adata):
    adata.var["gene_ids"] = ids(adata)
    return adata


def test_an_id_of_another_gene_fails(with_ids):
    right = [Gene(name, with_ids.var.loc[name, "gene_ids"] + ".2") for name in GOOD]
    assert found(with_ids, right) == [("pass", "the ids of 4 genes are those of the reference", "")]
    wrong = [Gene("MARKER0X", with_ids.var.loc["MARKER1X", "gene_ids"]), *right[1:]]
    assert [row[::2] for row in found(with_ids, wrong)] == [("fail", "MARKER0X")]
    assert found(with_ids) == [("not checked", "the list gives none", "")]
    by_id = ids(with_ids)[GOOD].tolist()
    assert found(with_ids, by_id) == [("not checked", "the list names genes by their ids alone", "")]


def test_a_gene_without_an_id_is_named_unless_the_list_gives_one(with_ids):
    with_ids.var.loc[["MARKER0X", "NOISE30"], "gene_ids"] = ["", np.nan]
    missing, compared = found(with_ids, [Gene(name, id_) for name, id_ in ids(with_ids)[GOOD[:3]].items()] + GOOD[3:])
    assert missing[::2] == ("warn", "NOISE30")
    assert missing[1].startswith("1 of 4 genes have none, neither in the list nor in the reference; give ensembl_table")
    assert compared[:2] == ("pass", "the ids of 2 genes are those of the reference")


def test_ids_that_are_all_empty_are_a_warning(adata, tmp_path):
    (tmp_path / "xenium.csv").write_text("Gene,Ensembl ID,Probe sets,Force\n" + "".join(f"{g},,,\n" for g in GOOD))
    for column in (None, "gene_ids"):
        if column:
            adata.var[column] = ""
        (row,) = found(adata, tmp_path / "xenium.csv")
        assert row[0] == "warn" and row[1].startswith("no gene has one, neither in the list nor in the reference")


def test_a_list_with_some_ids_says_which_genes_have_none_in_it(with_ids):
    missing, _ = found(with_ids, [Gene("MARKER0X", "ENSG00000000000"), *GOOD[1:]])
    assert missing[0] == "warn" and missing[2] == ", ".join(GOOD[1:])
    assert missing[1] == "3 of 4 genes have none in the list, and the reference has them"


def test_ids_of_a_table_stand_in_for_those_that_the_reference_lacks(adata, tmp_path):
    listed = [Gene(name, id_) for name, id_ in ids(adata)[GOOD].items()]
    assert found(adata, listed) == [("not checked", "the reference gives none", "")]
    ids(adata).rename("gene_ids").rename_axis("gene_name").to_csv(tmp_path / "features.tsv", sep="\t")
    for table in (tmp_path / "features.tsv", ids(adata).to_dict()):
        assert found(adata, listed, ensembl_table=table)[0][0] == "pass"
        wrong = [Gene("MARKER0X", ids(adata)["MARKER1X"]), *listed[1:]]
        assert found(adata, wrong, ensembl_table=table)[0][::2] == ("fail", "MARKER0X")
        assert found(adata, ids(adata)[GOOD].tolist(), ensembl_table=table)[0][0] == "not checked"
        assert smg.get.validation(adata, "genes")["name"].tolist() == GOOD
    adata.var["mine"] = ids(adata)
    assert found(adata, listed, ensembl_key="mine")[0][0] == "pass"
    assert smg.get.validation(adata, "genes")["ensembl_id"].tolist() == ids(adata)[GOOD].tolist()
    with pytest.raises(NotFoundError, match="no column 'yours'"):
        found(adata, listed, ensembl_key="yours")


def test_a_gene_under_an_old_name_is_named_with_the_one_that_is_meant(adata):
    adata.var["prev_symbol"] = ["OLD" if name == "NOISE30" else "" for name in adata.var_names]
    for options in ({}, {"gene_symbols": "symbol"}):
        adata.var["symbol"] = adata.var_names
        smg.tl.validate(adata, "cell_type", genes=[*GOOD[:3], "OLD"], **options)
        (row,) = smg.get.validation(adata).query("check == 'names'").itertuples()
        assert (row.verdict, row.genes) == ("fail", "OLD")
        assert "'OLD' (did you mean NOISE30, which has this alias?)" in row.detail
    with pytest.raises(NotFoundError, match="did you mean NOISE30, which has this alias"):
        smg.tl.panel(adata, "cell_type", n_genes=3, include=["OLD"])
