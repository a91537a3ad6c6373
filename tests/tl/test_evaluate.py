"""tl.evaluate: its tables, its errors, rare groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.evaluation import FEW_TREES, MARKERS

import smash_gpu as smg
from smash_gpu import evaluation


def test_relabelling_the_groups_permutes_the_confusion(adata):
    smg.tl.evaluate(adata, "cell_type", genes=["NOISE20", "NOISE21", "MARKER0X"], protocol="paper")
    before = smg.get.confusion(adata)
    names = {"A": "Z", "B / b": "Y", "CD4+ T": "X"}
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str).map(names).astype("category")
    smg.tl.evaluate(adata, "cell_type", genes=["NOISE20", "NOISE21", "MARKER0X"], protocol="paper")
    after = smg.get.confusion(adata)
    assert after.index.tolist() == ["X", "Y", "Z"]
    assert np.trace(after.to_numpy()) != after.to_numpy().sum()
    assert after.sum(axis=1).to_dict() == before.rename(index=names).sum(axis=1).to_dict()


def test_the_confusion_table_is_labelled_and_its_rows_are_the_held_out_cells(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, protocol="paper")
    table = smg.get.confusion(adata)
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    assert table.index.tolist() == table.columns.tolist() == ["A", "B / b", "CD4+ T"]
    sizes = adata.obs["cell_type"].value_counts()
    for group, row in table.iterrows():
        assert abs(row.sum() - 0.3 * sizes[group]) < 1


def test_get_evaluation_has_a_row_a_reading_and_the_number_of_genes(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS, n_splits=2)
    table = smg.get.evaluation(adata)
    assert table.index.tolist() == ["n_genes", *evaluation.METRICS]
    assert table.columns.tolist() == ["mean", "std", "min", "max", "low", "high"]


def test_a_list_is_judged_as_it_is_whatever_its_order(adata):
    tables = []
    for genes in (MARKERS, MARKERS[::-1], np.array(MARKERS), dict.fromkeys(MARKERS).keys(), [*MARKERS, *MARKERS]):
        smg.tl.evaluate(adata, "cell_type", genes=genes, n_splits=2)
        tables.append(smg.get.evaluation(adata))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_an_evaluation_needs_no_selection_and_makes_none(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS)
    assert not adata.varm
    assert not [column for column in adata.var if column.startswith("smash")]
    with pytest.raises(KeyError, match="run tl.smash"):
        smg.get.markers(adata)


def test_results_that_are_not_there_name_the_step_that_makes_them(adata):
    with pytest.raises(KeyError, match=r"tl\.evaluate"):
        smg.get.evaluation(adata)
    with pytest.raises(KeyError, match=r"tl\.evaluate"):
        smg.get.confusion(adata)


BAD = {
    "an unknown protocol": ({"genes": MARKERS, "protocol": "papre"}, ValueError, r"'papre'.*leak-free.*paper"),
    "an absent gene": (
        {"genes": ["MARKER0W", "MARKER1X"], "missing": "raise"}, KeyError, r"'MARKER0W'.*did you mean.*MARKER0[XYZ]"
    ),
    "absent genes only": ({"genes": ["MARKER0W"]}, KeyError, r"'MARKER0W'.*did you mean.*MARKER0[XYZ]"),
    "a wrong word for absent genes": ({"genes": MARKERS, "missing": "drop"}, ValueError, "'drop'.*warn, raise"),
    "an empty list": ({"genes": []}, ValueError, "empty"),
    "one string for a list": ({"genes": "MARKER0X"}, TypeError, r"'MARKER0X'.*list"),
    "no selection to repeat": ({}, KeyError, r"tl\.smash.*genes="),
    "no splits": ({"genes": MARKERS, "n_splits": 0}, ValueError, "n_splits"),
    "one fold of samples": ({"genes": MARKERS, "n_splits": 1, "sample_key": "sample"}, ValueError, "n_splits.*2"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.evaluate(adata, "cell_type", **options)
    assert not adata.uns


def test_more_genes_than_have_a_score_is_an_error_with_both_numbers(adata):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    with pytest.raises(ValueError, match=r"panel of 1000 genes.*only \d+ have a score"):
        smg.tl.evaluate(adata, "cell_type", n_genes=1000)
    assert "evaluation" not in adata.uns["smash"]


@pytest.mark.filterwarnings("ignore:.*one training cell only", "ignore:.*one cell of each was moved")
@pytest.mark.parametrize("size", [2, 3])
def test_a_rare_group_is_judged_or_named_with_the_way_out(adata, size):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:size] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    try:
        smg.tl.evaluate(adata, "cell_type", n_genes=9)
    except ValueError as error:
        assert "rare type" in str(error)
        assert "min_cells" in str(error)
    else:
        assert smg.get.confusion(adata).loc["rare type"].sum() >= 3, "a cell in each of three splits"


@pytest.mark.filterwarnings("ignore:.*one training cell only")
def test_one_cell_of_a_group_among_the_training_donors_is_judged_or_named(adata):
    labels, donors = adata.obs["cell_type"].astype(str).to_numpy(), adata.obs["sample"].to_numpy()
    labels[np.flatnonzero(donors == "donor2")[:6]] = "rare type"
    labels[np.flatnonzero(donors == "donor1")[:1]] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", sample_key="sample", model_options=FEW_TREES)
    try:
        smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=4)
    except ValueError as error:
        assert "rare type" in str(error)
    else:
        assert smg.get.confusion(adata).loc["rare type"].sum() == 7


def test_without_a_selection_each_function_names_its_own_way_out(adata):
    with pytest.raises(KeyError, match=r"run tl\.smash \(or pass genes=\)"):
        smg.tl.evaluate(adata, "cell_type")
    with pytest.raises(KeyError, match=r"run tl\.smash \(or pass choose=\)"):
        smg.tl.stability(adata, "cell_type")
