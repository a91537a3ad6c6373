"""Genes that a user names: by name, symbol or Ensembl id, in every kind of list."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from smash_gpu.genes.aliases import aliases_in
from smash_gpu.genes.lists import GeneNames, ids_by_name, ids_in, listed
from smash_gpu.genes.tables import Gene

NAMES = np.array(["ENSG01", "ENSG02", "ENSG03", "ENSG04"], dtype=object)
SYMBOLS = np.array(["MS4A1", "CD3E", "CD3D", "CD3E"], dtype=object)
IDS = np.array([f"ENSG0000000000{i}.{i}" for i in range(3)] + [""], dtype=object)
KNOWN = GeneNames(NAMES, SYMBOLS, IDS)


def test_genes_are_found_by_name_by_symbol_and_by_id_in_the_order_of_the_list():
    assert KNOWN.numbers(["ENSG03", "MS4A1", "ENSG00000000001", "MS4A1"], "genes").tolist() == [2, 0, 1]
    assert KNOWN.numbers([], "genes").tolist() == []
    assert KNOWN.mask(["CD3D", "ENSG01"], "keep").tolist() == [True, False, True, False]
    assert KNOWN.mask([], "keep").tolist() == [False] * 4


@pytest.mark.parametrize("version", ["", ".1", ".27"])
def test_the_version_of_an_id_does_not_matter(version):
    assert KNOWN.numbers([f"ENSG00000000001{version}"], "genes").tolist() == [1]


def test_a_symbol_of_several_genes_takes_one_place_and_they_are_named():
    with pytest.warns(UserWarning, match=r"genes: a symbol stands for several.*CD3E: ENSG02, ENSG04.*Name the id"):
        assert KNOWN.numbers(["CD3E", "CD3D"], "genes").tolist() == [1, 2]


def test_a_rule_for_a_symbol_is_about_all_its_genes():
    assert KNOWN.mask(["CD3E"], "exclude").tolist() == [False, True, False, True]


def test_the_id_in_the_list_decides_between_genes_of_one_symbol(recwarn):
    names = GeneNames(NAMES, SYMBOLS, np.array([f"ENSG0000000000{i}" for i in range(4)], dtype=object))
    table = pd.DataFrame(
        {"Gene": ["CD3E", "CD3E", "old name"], "Ensembl ID": [f"ENSG0000000000{i}" for i in (3, 1, 0)]}
    )
    assert names.numbers(table, "genes").tolist() == [3, 1, 0]
    assert not recwarn.list


def test_a_name_goes_before_a_symbol():
    """A fly has a gene called nan, and another may have the symbol."""
    known = GeneNames(np.array(["nan", "b"], dtype=object), np.array(["a", "nan"], dtype=object))
    assert known.numbers(["nan"], "genes").tolist() == [0]
    assert known.mask(["nan"], "genes").tolist() == [True, True]


def test_an_absent_gene_is_named_with_near_matches():
    with pytest.raises(KeyError, match=r"exclude.*'CD3C'.*did you mean.*CD3[DE]"):
        KNOWN.mask(["MS4A1", "CD3C"], "exclude")
    with pytest.raises(KeyError, match=r"'cd3d' \(did you mean CD3D\?\)"):
        KNOWN.numbers(["cd3d"], "genes")


def test_a_gene_like_no_other_is_named_without_a_guess():
    with pytest.raises(KeyError, match="'XIST'") as error:
        KNOWN.mask(["XIST"], "keep")
    assert "did you mean" not in str(error.value)


def test_of_many_absent_genes_every_one_is_listed():
    absent = [f"absent{i}" for i in range(8)]
    with pytest.raises(KeyError) as error:
        KNOWN.mask(absent, "keep")
    assert all(repr(gene) in str(error.value) for gene in absent)


def test_absent_genes_may_be_left_out_with_their_number_and_names():
    with pytest.warns(UserWarning, match=r"extend: 2 of 3 genes left out.*: X1, X2\."):
        assert KNOWN.numbers(["X1", "MS4A1", "X2"], "extend", missing="warn").tolist() == [0]
    with pytest.raises(ValueError, match="missing='drop'.*warn, raise"):
        KNOWN.numbers(["MS4A1"], "genes", missing="drop")


def test_ids_that_the_data_do_not_hold_and_symbols_for_ids_are_explained():
    symbols = GeneNames(SYMBOLS, SYMBOLS)
    with pytest.raises(KeyError, match="These are Ensembl ids.*'gene_ids'"):
        symbols.numbers(["ENSG00000156738"], "genes")
    names = np.array([f"ENSG{i:011d}" for i in range(4)], dtype=object)
    with pytest.raises(KeyError, match="genes of the data are Ensembl ids; pass gene_symbols="):
        GeneNames(names, names, names).numbers(["CD3E"], "genes")


def test_entries_without_a_name_are_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="keep: 3 of 5 entries hold no name"):
        assert listed(pd.Series(["MS4A1", np.nan, None, " ", " CD3D "]), "keep") == ("MS4A1", "CD3D")


def test_rows_of_a_file_without_a_name_are_left_out_with_the_same_warning(tmp_path):
    (tmp_path / "list.csv").write_text("gene,score\nMS4A1,1\n,2\nMS4A1,3\n")
    with pytest.warns(UserWarning, match="keep: 1 of 3 entries hold no name"):
        assert listed(tmp_path / "list.csv", "keep") == ("MS4A1",)


@pytest.mark.parametrize("wanted", ["MS4A1", 5])
def test_what_is_no_list_is_named(wanted):
    with pytest.raises(TypeError, match=f"keep={wanted!r} is .*pass a list"):
        listed(wanted, "keep")


def test_a_gene_of_a_list_can_be_copied_and_sent():
    gene = Gene("CD3E", "ENSG1")
    for again in (copy.deepcopy(gene), pickle.loads(pickle.dumps(gene))):
        assert (again, again.ensembl) == ("CD3E", "ENSG1")


@pytest.mark.parametrize("column", ["gene_ids", "gene_id", "ensembl_id", "Ensembl ID", "ENSEMBL", "feature_id"])
def test_ids_are_looked_up_in_the_usual_columns(column):
    var = pd.DataFrame({"score": 1.0, column: [*(f"ENSMUSG{i:011d}" for i in range(3)), np.nan]})
    assert ids_in(var, SYMBOLS).tolist() == [*(f"ENSMUSG{i:011d}" for i in range(3)), ""]


def test_ids_are_the_names_if_these_are_ids_and_nothing_where_there_are_none():
    names = np.array([f"ENSG{i:011d}" for i in range(4)], dtype=object)
    assert ids_in(pd.DataFrame(index=names), names) is names
    assert ids_in(pd.DataFrame({"gene_id": [10, 20, 30, 40], "feature_id": list("abcd")}), SYMBOLS) is None


def test_ids_by_symbol_from_a_mapping_a_table_or_the_features_of_cell_ranger(tmp_path):
    ids = {"CD3E": "ENSG00000198851", "MS4A1": "ENSG00000156738"}
    path = tmp_path / "features.tsv"
    path.write_text("".join(f"{known}\t{name}\tGene Expression\n" for name, known in ids.items()))
    table = pd.DataFrame({"symbol": ids.keys(), "gene_id": ids.values()})
    assert (
        ids_by_name(ids, "t") == ids_by_name(path, "t") == ids_by_name(str(path), "t") == ids_by_name(table, "t") == ids
    )
    twice = pd.concat([table, pd.DataFrame({"symbol": ["CD3E"], "gene_id": ["ENSG00000000001"]})])
    assert ids_by_name(twice, "t") == {"MS4A1": ids["MS4A1"]}
    with pytest.raises(ValueError, match="ensembl_table: no column.*Ensembl ids"):
        ids_by_name(pd.DataFrame({"symbol": ["CD3E"]}), "ensembl_table")


ALIASES = {
    "alias_symbol": ["T3E|TCRE", "CD3-DELTA; T3D", None, ""],
    "Previous symbols": ["", "", "['OLD1', 'OLD2']", ""],
}


def test_an_alias_is_proposed_and_not_used():
    var = pd.DataFrame(ALIASES, index=NAMES)
    known = GeneNames(NAMES, SYMBOLS, IDS, aliases_in(var, NAMES))
    assert known.aliases == {alias: [NAMES[n]] for alias, n in
                             {"T3E": 0, "TCRE": 0, "CD3-DELTA": 1, "T3D": 1, "OLD1": 2, "OLD2": 2}.items()}  # fmt: skip
    with pytest.raises(KeyError, match=rf"'T3D' \(did you mean {NAMES[1]}, which has this alias\?\)"):
        known.numbers(["T3D"], "genes")
    with pytest.warns(UserWarning, match=rf"1 of 2 genes left out.*: OLD2 \(did you mean {NAMES[2]}, which has"):
        assert known.numbers(["OLD2", NAMES[3]], "genes", missing="warn").tolist() == [3]
    assert aliases_in(var[[]], NAMES) == {}


def test_aliases_may_be_lists_and_an_alias_of_many_genes_is_not_spelled_out():
    var = pd.DataFrame({"alias": [["T3E", "TCRE"], "T3D", None, []]}, index=NAMES)
    assert aliases_in(var, NAMES) == {"T3E": [NAMES[0]], "TCRE": [NAMES[0]], "T3D": [NAMES[1]]}
    names = np.array([f"GENE{n}" for n in range(1000)], dtype=object)
    known = GeneNames(names, names, None, {"other": names.tolist()})
    with pytest.raises(KeyError, match=r"GENE2 and 997 more, which have this alias"):
        known.numbers(["other"], "genes")


def test_another_case_is_proposed_for_every_gene():
    names = np.array([f"GENE{n}" for n in range(20)], dtype=object)
    with pytest.raises(KeyError) as error:
        GeneNames(names, names).numbers([name.lower() for name in names], "genes")
    assert str(error.value).count("did you mean") == 20
    with pytest.warns(UserWarning, match=r"gene19 \(did you mean GENE19\?\)"):
        GeneNames(names, names).numbers([*names[:3], "gene19"], "genes", missing="warn")
