"""A group that no training cell has is not judged: it is in no mean, pair or figure, and is named once."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from cases.evaluation import FEW_TREES, MARKERS
from cases.lists import MIXED, data_of, judged

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.data.splits import Split
from smash_gpu.evaluation.judged import not_judged, with_judged_cells
from smash_gpu.pl._canvas import GREY


@pytest.fixture
def donors(adata):
    """Groups "epsilon" and "schwann" of donor2 only."""
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    theirs = np.flatnonzero(adata.obs["sample"] == "donor2")
    labels[theirs[:6]], labels[theirs[6:11]] = "epsilon", "schwann"
    adata.obs["cell_type"], adata.obs["donor"] = labels, adata.obs["sample"]
    return adata


def evaluated(adata, **options):
    """The warnings of an evaluation across donors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        how = {"genes": MIXED, "sample_key": "donor", "n_splits": 4} | options
        smg.tl.evaluate(adata, "cell_type", **how)
    return [str(warning.message) for warning in caught]


def test_it_is_named_once_with_its_donor(donors):
    said = evaluated(donors)
    assert len(said) == 1
    assert said[0].startswith("epsilon, schwann: all cells are of donor donor2. ")
    assert list(donors.uns["smash"]["evaluation_not_judged"]) == ["epsilon, schwann: all cells are of donor donor2"]


def test_it_is_nan_and_every_metric_is_that_of_the_other_cells(donors):
    evaluated(donors, classifier=["knn", "logreg"])
    table = smg.get.group_metrics(donors)
    alone = table["group"].isin(["epsilon", "schwann"])
    assert table[alone]["mean"].isna().all() and (table[alone]["cells"] == 0).all()
    assert table[~alone]["mean"].notna().all()
    data, rows = data_of(donors, sample_key="donor"), []
    splits = list(evaluation.Splitting(n_splits=4).of(data))
    X = data.host_expression(np.flatnonzero(donors.var_names.isin(MIXED)))
    for split in splits:
        cells = np.array([cell for cell in split.test if data.labels[cell] in set(data.labels[split.train])])
        predicted = evaluation.predict(X, data.labels, Split(split.train, cells), scale_on_all=False)
        rows.append(evaluation.metrics_of_labels(data.labels[cells], predicted) | {"n_test": len(cells)})
    found = smg.get.evaluation_splits(donors).query("classifier == 'knn'").reset_index(drop=True)
    expected = pd.DataFrame(rows)
    pd.testing.assert_frame_equal(found[list(expected)], expected)
    assert found["n_test"].sum() == 240 - 11


def test_it_is_in_no_pair_and_its_row_of_the_figure_is_grey(donors):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    evaluated(donors)
    confusion = smg.get.confusion(donors)
    assert (confusion.loc[["epsilon", "schwann"]] == 0).all(axis=None)
    pairs = smg.get.unresolved_pairs(donors)
    assert len(pairs)
    assert not {"epsilon", "schwann"} & {*pairs["group"], *pairs["other"]}
    ax = smg.pl.confusion(donors)
    rows, columns = ([t.get_text() for t in labels] for labels in (ax.get_yticklabels(), ax.get_xticklabels()))
    assert rows == columns == [*confusion.columns]
    shares = np.ma.filled(ax.images[0].get_array(), np.nan)
    judged = np.array([group not in ("epsilon", "schwann") for group in rows])
    np.testing.assert_allclose(shares[judged].sum(axis=1), 1)
    assert np.isnan(shares[~judged]).all()
    assert mpl.colors.to_hex(ax.get_facecolor()) == GREY.lower()


def test_the_table_and_the_matrix_agree_where_donors_differ_in_size(donors):
    """Two donors have one cell of a group each: the mean of recalls over folds would be far from the matrix."""
    labels = donors.obs["cell_type"].to_numpy().copy()
    for donor in ("donor0", "donor1"):
        cells = np.flatnonzero((donors.obs["sample"] == donor) & (labels == "A"))
        labels[cells[1:]] = "CD4+ T"
    donors.obs["cell_type"] = labels
    evaluated(donors)
    table = smg.get.group_metrics(donors).set_index(["group", "metric"])
    confusion = smg.get.confusion(donors)
    for group in ("A", "B / b", "CD4+ T"):
        hit = confusion.loc[group, group]
        assert table.loc[(group, "recall"), "mean"] == pytest.approx(hit / confusion.loc[group].sum())
        assert table.loc[(group, "precision"), "mean"] == pytest.approx(hit / confusion[group].sum())
        row = table.loc[(group, "recall")]
        assert row["low"] <= row["mean"] <= row["high"]
        assert row["cells"] == confusion.loc[group].sum()


def test_a_fold_without_other_cells_is_left_out_and_a_repeated_selection_does_not_mind(adata):
    """Fault 16: donor d1 holds the cells of one group and no others."""
    adata.obs["donor"] = np.where(adata.obs["cell_type"] == "A", "d1", np.where(np.arange(240) % 2, "d2", "d3"))
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    said = evaluated(adata, genes={"list": MARKERS, "selection": None}, n_genes=9, n_splits=3)
    assert "A: all cells are of donor d1." in said[0]
    table = smg.get.comparison(adata, "misclassification")
    assert table["n_splits"].tolist() == [2, 2]
    assert (table["mean"] < 0.05).all()
    assert smg.get.evaluation_splits(adata)["n_test"].sum() == 2 * (adata.obs["cell_type"] != "A").sum()


def test_if_no_group_can_be_judged_the_error_says_what_to_do(adata):
    adata.obs["donor"] = adata.obs["cell_type"].cat.codes.astype(str)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no class can be judged.*Leave sample_key out"):
        smg.tl.evaluate(adata, "cell_type", genes=MIXED, sample_key="donor")
    assert not adata.uns


def test_groups_of_donors_that_are_held_out_together_are_named_with_all_of_them(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    for donor in ("donor1", "donor2"):
        labels[np.flatnonzero(adata.obs["sample"] == donor)[:4]] = "rare"
    adata.obs["cell_type"] = labels
    data = data_of(adata, sample_key="sample")
    sample = adata.obs["sample"].to_numpy()
    both, one = (np.isin(sample, names) for names in (["donor1", "donor2"], ["donor1", "donor3"]))
    parts = [Split(np.flatnonzero(~held), np.flatnonzero(held)) for held in (both, ~both)]
    assert not_judged(data, parts, "donor") == [
        "rare: all cells are of donor donor1, donor2, which are held out together"
    ]
    parts += [Split(np.flatnonzero(~held), np.flatnonzero(held)) for held in (one, ~one)]
    assert not_judged(data, parts, "donor") == ["rare: in 1 of 3 splits all cells are held out"]
    kept = with_judged_cells(data.labels, parts)
    assert [len(part.test) for part in kept] == [both.sum() - 8, (~both).sum(), one.sum(), (~one).sum()]


def test_a_group_with_fewer_cells_than_folds_is_no_warning_of_another_library(adata):
    labels, sample = adata.obs["cell_type"].astype(str).to_numpy(), adata.obs["sample"].to_numpy()
    for donor in ("donor1", "donor2", "donor3"):
        labels[np.flatnonzero(sample == donor)[0]] = "rare"
    adata.obs["cell_type"], adata.obs["donor"] = labels, sample
    assert evaluated(adata) == []
    assert smg.get.group_metrics(adata).query("group == 'rare'")["cells"].tolist() == [3, 3, 3]


def test_where_every_group_can_be_learnt_nothing_is_said_or_left_out(adata):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = judged(adata, genes=MIXED, sample_key="sample", n_splits=4)
    assert table["n_test"].sum() == 240
    assert not len(adata.uns["smash"]["evaluation_not_judged"])
