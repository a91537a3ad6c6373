"""The page of a validated list."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from cases.page import IMAGE, PAYLOAD, TAGS, Page, hostile_cells, rows_of

import smash_gpu as smg

mpl.use("Agg")


@pytest.fixture
def written(tmp_path):
    def write(adata, **options):
        smg.report.write_validation(adata, tmp_path / "list.html", **options)
        return (tmp_path / "list.html").read_text(encoding="utf-8")

    return write


def test_the_page_holds_every_check_and_every_gene(adata, written):
    smg.tl.validate(adata, "cell_type", genes=["MARKER0X", "NOISE30", "GFP"], platform="xenium_v1", max_transcripts=9)
    page = written(adata)
    parsed = Page(page)
    assert {tag for tag, _ in parsed.elements} <= TAGS
    assert [row[1] for row in rows_of(page, "Checks")[1:]] == smg.get.validation(adata)["verdict"].to_list()
    assert [row[0] for row in rows_of(page, "Genes of the list")[1:]] == ["MARKER0X", "NOISE30", "GFP"]
    crowding = rows_of(page, "Transcripts per cell of the list")[1:]
    fullest = smg.get.validation(adata, "crowding").nlargest(1, "transcripts")["class"].item()
    assert crowding[0][0] == fullest
    assert "10x Genomics, Xenium Panel Design Concepts and Terms" in page
    assert len(parsed.all("img")) == len(parsed.all("figcaption")) == 2
    assert all(a["src"].startswith("data:image/") for a in parsed.all("img"))


def test_hostile_names_are_text(written):
    adata = hostile_cells()
    smg.tl.validate(adata, "cell_type", genes=[IMAGE, PAYLOAD], missing="warn")
    parsed = Page(written(adata, title=PAYLOAD))
    assert not parsed.all("script")
    assert not [a for a in parsed.all("img") if "onerror" in a]


def test_logarithms_and_pages_without_figures(adata, written):
    smg.tl.validate(adata, "cell_type", genes=["MARKER0X"])
    assert not Page(written(adata, figures=False)).all("img")
    adata.X = adata.X.log1p()
    smg.tl.validate(adata, "cell_type", genes=["MARKER0X"], normalize=False)
    assert not Page(written(adata)).all("img")


def test_a_page_needs_a_validation(adata, tmp_path):
    with pytest.raises(smg.errors.NotFoundError, match="run tl.validate first"):
        smg.report.write_validation(adata, tmp_path / "list.html")
