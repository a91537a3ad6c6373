"""What a person should know before ordering a panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.panels import designed

from smash_gpu.annotated.read import read
from smash_gpu.panel.remarks import remarks
from smash_gpu.panel.tables import tables


def said(design):
    return list(remarks(design, tables(design)))


@pytest.fixture
def bright(adata):
    """Cells in which one marker of A has 600 counts per cell, and NOISE30 has 150 in each class."""
    counts = adata.X.toarray()
    counts[:, 0] *= 100
    counts[:, adata.var_names.get_loc("NOISE30")] = 150
    adata.X = counts
    return read(adata, {"groupby": "cell_type"})


def test_genes_above_a_hundred_counts_are_named_with_their_class(bright):
    [sentence] = said(designed(bright, n_genes=12, include=["NOISE30"]))
    highest = counts_per_cell_of_dense(bright)[:, 0].max()
    assert sentence.startswith(
        f"2 genes of the panel have more than 100 counts per cell in some class: MARKER0X ({highest:,.0f} in A), "
        "NOISE30 (150 in A)"
    )


def test_one_gene_is_one_gene(adata):
    counts = adata.X.toarray()
    counts[:, 0] *= 100
    adata.X = counts
    [sentence] = said(designed(read(adata, {"groupby": "cell_type"}), n_genes=12))
    assert sentence.startswith("1 gene of the panel has more than 100 counts per cell in some class: MARKER0X (")


@pytest.mark.parametrize(
    "options", [{"max_counts": (None, 700)}, {"max_transcripts": 2000.0}, {"mean_counts": (0, 900)}]
)
def test_who_gives_a_cap_is_not_warned_of_bright_genes(bright, options):
    assert not said(designed(bright, n_genes=12, include=["NOISE30"], **options))


def test_a_panel_of_dim_genes_needs_no_remark(data):
    assert not said(designed(data, n_genes=12, min_markers=1))


def test_log_normalised_values_have_no_counts_to_remark_on(adata):
    adata.X.data = np.log1p(adata.X.data)
    assert not said(designed(read(adata, {"groupby": "cell_type", "normalize": False}), n_genes=12))


@pytest.mark.parametrize(
    "caps",
    [
        {"max_transcripts": 1.0},
        {"max_counts": (None, 1.0)},
        {"mean_counts": (None, 0.9)},
        {"cost_key": "c", "budget": 3},
    ],
)
def test_caps_that_leave_less_than_half_of_what_is_possible_are_remarked_on(data, caps):
    cost = np.where(np.arange(60) < 9, 9.0, 1.0)
    table = pd.DataFrame({"c": cost}, index=data.names)
    design, free = designed(data, table, n_genes=3, **caps), designed(data, table, n_genes=3)
    resolution, possible = (tables(d)["curve"]["resolution"].iloc[-1] for d in (design, free))
    assert resolution < possible / 2
    [sentence] = said(design)
    assert (
        f"resolves {resolution:.0%} of what all genes resolve; 3 genes without caps resolve {possible:.0%}" in sentence
    )


def test_few_genes_or_loose_caps_are_not_remarked_on(data):
    for options in ({}, {"max_transcripts": 1e4}, {"max_counts": (None, 1e4)}):
        design = designed(data, n_genes=1, tau=20.0, **options)
        assert tables(design)["curve"]["resolution"].iloc[-1] < 0.5
        assert not said(design)


def test_what_other_rules_remove_is_not_counted_as_possible(data):
    markers = [name for name in data.names if name.startswith("MARKER")]
    options = {"n_genes": 3, "exclude": markers, "max_counts": (None, 3.0)}
    assert not said(designed(data, **options))


def counts_per_cell_of_dense(data):
    return np.array([data.matrix[data.group == c].mean(axis=0) for c in range(data.n_groups)])
