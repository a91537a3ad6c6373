"""Requests that cannot be met get a certificate and a full panel."""

from __future__ import annotations

import numpy as np
import pytest
from cases.panels import designed

from smash_gpu import panel
from smash_gpu.panel.tables import tables


def test_more_markers_than_there_are_give_a_certificate_and_a_full_panel(data):
    design = designed(data, n_genes=20, min_markers=7, exclude=["MARKER0X", "MARKER0Y"])
    table = tables(design)["certificate"].set_index("class")
    assert len(design.panel) == 20
    markers = design.problem.markers
    allowed = ~np.isin(data.names, ["MARKER0X", "MARKER0Y"])
    for c, name in enumerate(data.groups):
        if markers[c].sum() >= 7 and markers[c, allowed].sum() >= 7:
            assert name not in table.index
            continue
        row = table.loc[name]
        assert (row["in_data"], row["allowed"]) == (markers[c].sum(), markers[c, allowed].sum())
        assert row["found"] == row["allowed"] < row["asked"] == 7  # as many as can be
        assert 0 < row["possible"] <= 1
    assert set(table.index)


def test_the_rule_in_the_way_is_named_and_what_lifting_it_gives(data):
    excluded = ["MARKER0X", "MARKER0Y", "MARKER0Z"]
    table = tables(designed(data, n_genes=10, min_markers={"cell_type": 3}, exclude=excluded))["certificate"]
    row = table.set_index("class").loc["A"]
    assert "excluded by the user" in row["reason"]
    assert "it could have" in row["way_out"]
    assert str(row["in_data"]) in row["way_out"]


def test_too_few_places_for_the_promises_are_proven(data):
    table = tables(designed(data, n_genes=2, min_markers=1))["certificate"]
    assert len(table) == 1
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


def test_rules_that_leave_too_few_genes_are_listed(data):
    with pytest.raises(panel.InfeasibleError, match="n_genes=58, but the rules leave only") as caught:
        designed(data, n_genes=58, exclude=["NOISE20", "NOISE21", "NOISE22"])
    assert caught.value.certificate.set_index("constraint").loc["excluded by the user", "possible"] == 60
    with pytest.raises(panel.InfeasibleError, match="2 genes must be in the panel, but n_genes=1"):
        designed(data, n_genes=1, include=["NOISE20", "NOISE21"])
