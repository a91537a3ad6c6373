"""The panels of vendors, as their files are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.commands import written
from cases.vendors import CONTROLS, FILES, GENES, SETS, WITH_SETS, XENIUM

from smash_gpu.genes.lists import listed
from smash_gpu.genes.vendors import is_control, json_rows


@pytest.mark.parametrize("name", FILES)
def test_the_genes_of_a_panel_are_read_without_its_controls(tmp_path, name):
    genes = listed(written(tmp_path / name, *FILES[name]), "extend")
    assert list(genes) == GENES
    sets = [gene.probe_sets for gene in genes]
    if name in WITH_SETS:
        assert sets == SETS
        assert [gene.ensembl for gene in genes] == [f"ENSG{i:011}" for i in range(3)]
    else:
        assert np.isnan(sets).all()


def test_controls_are_told_by_what_they_are_in_json_and_by_name_elsewhere():
    assert [row[0] for row in json_rows(XENIUM)[1]] == GENES
    names = [*CONTROLS.values(), "Blank-12", "BLANK_0003", "antisense_PROKR2", "NegPrb3", "Negative01", "FalseCode12"]
    assert all(map(is_control, names))
    genes = ("NEGR1", "SYS1", "BLNK", "GENIE", "CONTROL", "Neg", "NELFA", "FALSE", "INTS1", "DEPP1", "Nedd4")
    assert not any(map(is_control, genes))


def test_a_table_in_memory_is_read_as_its_file():
    table = pd.DataFrame({"Gene": [*GENES, "Blank-3"], "Num_Probesets": [*SETS, 1]})
    genes = listed(table, "extend")
    assert (list(genes), [gene.probe_sets for gene in genes]) == (GENES, SETS)


def test_several_files_are_one_list(tmp_path):
    paths = [written(tmp_path / "a", "A1", "A2"), written(tmp_path / "b", "A2", "A3")]
    assert listed([*paths, "A4"], "unavailable") == ("A1", "A2", "A3", "A4")


def test_a_gene_that_was_named_as_a_control_in_a_plain_list_is_kept():
    assert listed(["Blank-1", "A1"], "genes") == ("Blank-1", "A1")
