"""Requests that cannot be met get a certificate and a full panel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.panels import counts_per_cell, designed

from smash_gpu import panel
from smash_gpu.panel.certificate import missing
from smash_gpu.panel.markers import markers
from smash_gpu.panel.tables import tables


def test_more_markers_than_there_are_give_a_certificate_and_a_full_panel(data):
    design = designed(data, n_genes=20, min_markers=7, exclude=["MARKER0X", "MARKER0Y"])
    table = tables(design)["certificate"].set_index("class")
    assert len(design.panel) == 20
    markers = design.problem.markers
    allowed = ~np.isin(data.names, ["MARKER0X", "MARKER0Y"])
    for c, name in enumerate(data.groups):
        row = table.loc[name]
        assert (row["in_data"], row["allowed"]) == (markers[c].sum(), markers[c, allowed].sum())
        if markers[c, allowed].sum() >= 7:
            assert row["found"] >= 7
            assert row["reason"] == row["way_out"] == ""
            continue
        assert row["reason"] and row["way_out"]
        assert row["found"] == row["allowed"] < row["asked"] == 7  # as many as can be
        assert 0 < row["possible"] <= 1
    assert set(table.index) == set(data.groups)


@pytest.mark.parametrize("promised", [0, 1, 2])
def test_every_class_has_a_row_where_all_is_well(data, promised):
    design = designed(data, n_genes=12, min_markers=promised)
    table = tables(design)["certificate"]
    assert set(table["class"]) == set(data.groups)
    counts = table.set_index("class").loc[data.groups]
    marks = markers(design.objective.profiles, design.problem.classes, np.zeros(3, dtype=bool))
    assert counts["found"].tolist() == marks[:, design.panel].sum(axis=1).tolist()
    assert counts["in_data"].tolist() == counts["allowed"].tolist() == marks.sum(axis=1).tolist()
    assert (counts["asked"] == promised).all()
    assert (counts["found"] >= promised).all()
    assert ((counts["reason"] == "") == (counts["found"] > 0)).all()
    assert missing(table).empty
    assert counts["possible"].between(0, 1).all()


def test_classes_with_missing_markers_come_first(data):
    table = tables(designed(data, n_genes=20, min_markers={"cell_type": 7}, exclude=["MARKER2X", "MARKER2Y"]))[
        "certificate"
    ]
    lacks = table["found"] < table["asked"]
    assert lacks.is_monotonic_decreasing
    pd.testing.assert_frame_equal(missing(table), table[lacks])


def test_an_ignored_class_has_a_row_without_a_promise(data):
    table = tables(designed(data, n_genes=9, min_markers=2, ignore=["A"]))["certificate"].set_index("class")
    assert table.loc["A", ["asked", "found", "reason"]].tolist() == [0, 0, "the class is ignored"]
    assert table["asked"].sum() == 4


def test_a_class_without_a_marker_says_why_also_where_none_was_requested(data):
    own = ["MARKER0X", "MARKER0Y", "MARKER0Z"]
    row = tables(designed(data, n_genes=1))["certificate"].set_index("class").query("found == 0").iloc[0]
    assert row["reason"].startswith("no marker was requested;") and row["way_out"]
    marks = designed(data, n_genes=9, min_markers=1).problem.markers[0]
    gone = data.names[marks].tolist()
    assert set(own) <= set(gone)
    row = tables(designed(data, n_genes=9, exclude=gone))["certificate"].set_index("class").loc["A"]
    assert row["reason"] == f"the rules remove all {len(gone)} markers of this class" and row["way_out"]
    alike = replace(data, group=np.where(data.group == 0, 0, 1 + np.arange(len(data.group)) % 2))
    table = tables(designed(alike, n_genes=3))["certificate"].set_index("class")
    assert "no gene in the data is a marker of this class" in set(table["reason"])


def test_the_rule_in_the_way_is_named_and_what_lifting_it_gives(data):
    excluded = ["MARKER0X", "MARKER0Y", "MARKER0Z"]
    table = tables(designed(data, n_genes=10, min_markers={"cell_type": 3}, exclude=excluded))["certificate"]
    row = table.set_index("class").loc["A"]
    assert "excluded by the user" in row["reason"]
    assert "it could have" in row["way_out"]
    assert str(row["in_data"]) in row["way_out"]


def test_too_few_places_for_the_promises_are_proven(data):
    table = tables(designed(data, n_genes=2, min_markers=1))["certificate"]
    assert len(missing(table)) == 1
    assert "every choice of 2 genes misses at least 1 of the requested markers" in table["reason"][0]


def test_a_cap_that_no_panel_meets_gives_the_least_that_would_do(data):
    with pytest.raises(panel.InfeasibleError, match="no 30 genes fit all caps together") as caught:
        designed(data, n_genes=30, max_transcripts=3.0)
    rows = caught.value.certificate.set_index("constraint")
    needed = rows.loc["transcripts per cell", "possible"]
    assert "raise it by" in str(caught.value)
    with pytest.raises(panel.InfeasibleError):
        designed(data, n_genes=30, max_transcripts=0.99 * needed)
    assert len(designed(data, n_genes=30, max_transcripts=1.03 * needed).panel) == 30
    fitting = int(rows.loc["n_genes", "possible"])
    with pytest.raises(panel.InfeasibleError):
        designed(data, n_genes=fitting + 1, max_transcripts=3.0)


def test_genes_that_must_be_in_and_exceed_a_cap_are_named(data):
    with pytest.raises(panel.InfeasibleError, match="must be in already exceed") as caught:
        designed(data, n_genes=5, include=["MARKER0X", "MARKER0Y"], max_transcripts=4.0)
    assert caught.value.certificate["of"].tolist() == ["A"]


@pytest.mark.parametrize("genes", [["MARKER0X"], ["MARKER1X", "NOISE40"], ["MARKER2Y", "NOISE9", "NOISE10"]])
def test_the_cap_that_an_error_recommends_is_enough(data, genes):
    table = pd.DataFrame({"cost": counts_per_cell(data).max(axis=0)}, index=data.names)
    options = {"n_genes": len(genes), "include": genes}
    for caps, name in (({"max_transcripts": 0.1}, "max_transcripts"), ({"cost_key": "cost", "budget": 0.1}, "budget")):
        with pytest.raises(panel.InfeasibleError) as caught:
            designed(data, table, **options, **caps)
        needed = max(float(text.rpartition(" ")[2]) for text in caught.value.certificate["way_out"])
        assert len(designed(data, table, **options, **caps | {name: needed}).panel) == len(genes)


def test_rules_that_leave_too_few_genes_are_listed(data):
    with pytest.raises(panel.InfeasibleError, match="n_genes=58, but the rules leave only") as caught:
        designed(data, n_genes=58, exclude=["NOISE20", "NOISE21", "NOISE22"])
    assert caught.value.certificate.set_index("constraint").loc["excluded by the user", "possible"] == 60
    assert caught.value.certificate["constraint"].tolist() == ["n_genes", "excluded by the user"]
    with pytest.raises(panel.InfeasibleError, match="2 genes must be in the panel, but n_genes=1"):
        designed(data, n_genes=1, include=["NOISE20", "NOISE21"])


def test_two_rules_that_remove_the_same_genes_are_both_named(data):
    with pytest.raises(panel.InfeasibleError, match="leave only 0 of 60 genes") as caught:
        designed(data, n_genes=5, exclude=data.names, max_counts=(None, 1e-9))
    rows = caught.value.certificate
    assert rows["constraint"].tolist()[1] == "excluded by the user"
    assert len(rows) > 2
    assert rows["way_out"][0] == "relax a rule"


def test_a_budget_is_named_as_one_not_as_that_of_a_class(data):
    table = pd.DataFrame({"cost": np.linspace(1, 3, 60)}, index=data.names)
    needed = f"{np.ceil(100 * np.sort(table['cost'])[:20].sum()) / 100:.4g}"  # rounded up, so that it is enough
    with pytest.raises(panel.InfeasibleError) as caught:
        designed(data, table, n_genes=20, cost_key="cost", budget=10)
    said = str(caught.value)
    assert f"cost: the cheapest 20 genes need {needed}, not 10; raise it by" in said
    assert "at most 8 genes fit these caps" in said
    with pytest.raises(panel.InfeasibleError, match=f"the cheapest 20 genes need {needed}, not 0\n"):
        designed(data, table, n_genes=20, cost_key="cost", budget=0)


def test_required_genes_count_in_what_fits(data):
    table = pd.DataFrame({"cost": 1.0}, index=data.names)
    with pytest.raises(panel.InfeasibleError, match="no 17 genes besides the 3 that must be in fit") as caught:
        designed(data, table, n_genes=20, cost_key="cost", budget=15, include=data.names[:3])
    assert caught.value.certificate.set_index("constraint").loc["n_genes", ["asked", "possible"]].tolist() == [20, 15]


def test_caps_that_are_in_the_way_together_are_named_together(data):
    table = pd.DataFrame({"cost": np.linspace(1, 3, 60)}, index=data.names)
    with pytest.raises(
        panel.InfeasibleError, match="raising this cap alone does not help; raise all caps by"
    ) as caught:
        designed(data, table, n_genes=20, cost_key="cost", budget=25, max_transcripts=10)
    by = 1 + float(str(caught.value).partition("all caps by ")[2].partition("%")[0]) / 100
    options = {"n_genes": 20, "cost_key": "cost"}
    assert len(designed(data, table, **options, budget=26 * by, max_transcripts=10.4 * by).panel) == 20
    with pytest.raises(panel.InfeasibleError):
        designed(data, table, **options, budget=24.9 * by, max_transcripts=9.9 * by)
