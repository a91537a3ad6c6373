"""The chapter on stability: how often each gene was chosen again, and how many genes two halves share."""

from __future__ import annotations

import pytest
from cases.page import Page, rows_of, smash

import smash_gpu as smg
from smash_gpu.report import _stability

CAPTION = "How often each gene was chosen again"


@pytest.fixture(scope="module")
def stable():
    adata = smg.datasets.planted()
    smash(adata)
    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=4)
    return adata


def test_every_gene_has_its_row(stable):
    table, page = smg.get.stability(stable), smg.report.page(stable, figures=False)
    rows = rows_of(page, CAPTION)[1:]
    assert [row[0] for row in rows] == table["name"].tolist()
    assert [row[1] for row in rows] == [f"{100 * share:.0f} %" for share in table["frequency"]]
    assert [row[2] for row in rows] == [str(rank) if rank else "–" for rank in table["rank"]]
    low, high = (
        table[end].map(lambda rank: f"{rank:.0f}" if 0 < rank <= 4 else "–") for end in ("rank_low", "rank_high")
    )
    assert [row[3].split(" ", 1)[1] for row in rows] == [f"[{a}, {b}]" for a, b in zip(low, high, strict=True)]
    found = smg.get.substitutes(stable)
    for row in rows:
        assert row[4] == ", ".join(found[found["name"] == row[0]]["substitute"][: _stability.SUBSTITUTES])


def test_the_overlap_is_said(stable):
    text, overlap = Page(smg.report.page(stable, figures=False)).text, smg.get.panel_overlap(stable)
    assert f"{overlap.loc['shared', 'mean']:.1f}" in text and f"{overlap.loc['shared_by_chance', 'mean']:.1f}" in text
    assert "4 random halves of the cells" in text.replace("\n", " ")


def test_a_long_table_is_cut_and_says_so(stable, monkeypatch):
    monkeypatch.setattr(_stability, "ROWS", 2)
    page = smg.report.page(stable, figures=False)
    assert len(rows_of(page, CAPTION)) == 3
    assert f"The first 2 of {len(smg.get.stability(stable))}." in page


def test_without_it_there_is_no_chapter(adata):
    smash(adata)
    assert 'id="stability"' not in smg.report.page(adata, figures=False)
