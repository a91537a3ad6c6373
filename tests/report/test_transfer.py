"""The page of a tissue, and the chapter on structure inside types."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest
from cases.lists import MARKERS, NOISE
from cases.page import GROUPS, PAYLOAD, TAGS, Page, hostile_cells, rows_of, smash, under_headings

import smash_gpu as smg

mpl.use("Agg")


@pytest.fixture
def written(tmp_path):
    def write(tissue, **options):
        smg.report.write_transfer(tissue, tmp_path / "tissue.html", **options)
        return (tmp_path / "tissue.html").read_text(encoding="utf-8")

    return write


def test_the_page_holds_lists_ceiling_random_panels_and_classes(adata, written):
    tissue = adata[::2].copy()
    tissue.obsm["spatial"] = np.random.default_rng(0).random((tissue.n_obs, 2))
    smg.tl.transfer(adata, tissue, "cell_type", genes={"mine": MARKERS[:2], "noise": NOISE[:2]}, n_random=2)
    page = written(tissue)
    parsed = Page(page)
    assert {tag for tag, _ in parsed.elements} <= TAGS
    title, *rows = rows_of(page, "Lists between random panels and all measured genes")
    assert title[3:7] == ["balanced accuracy", "random panels", "all measured genes", "between the two"]
    metrics = smg.get.transfer(tissue)
    assert [row[0] for row in rows] == ["mine", "noise"]
    for row, expected in zip(rows, metrics.itertuples(), strict=True):
        assert float(row[3]) == pytest.approx(expected.balanced_accuracy, abs=6e-4)
        assert float(row[5]) == pytest.approx(expected.ceiling, abs=6e-4)
    of_all = smg.get.transfer(tissue, "groups", genes="all measured genes")["recall"]
    classes = rows_of(page, "Classes. List: mine, 2 genes")[1:]
    assert [float(row[3]) for row in classes] == pytest.approx(of_all.tolist(), abs=6e-4)
    assert all(re.fullmatch(r"\d\.\d{3}", number) for row in classes for number in row[2:])  # 0.000, not 0
    assert [row[1] for row in classes] == [str(n) for n in smg.get.transfer(tissue, "groups")["cells"]]
    confusion = smg.get.transfer(tissue, "confusion")
    worst = rows_of(page, "Classes that are confused most")[1]
    assert int(worst[3]) == confusion.loc[worst[0], worst[1]] > 0
    assert len(parsed.all("img")) == 4
    assert len(Page(written(tissue, basis="nowhere")).all("img")) == 1
    assert not Page(written(tissue, figures=False)).all("img")


def test_classes_without_cells_are_not_judged_and_other_cells_are_named(adata, written):
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str)
    tissue = adata[adata.obs["cell_type"] != "A"].copy()
    smg.tl.transfer(adata, tissue, "cell_type", genes={"mine": MARKERS[:2]}, n_random=0)
    *rows, last = rows_of(written(tissue), "Classes. List: mine, 2 genes")[1:]
    assert last[:3] == ["A (not judged: no cell)", "0", "–"] and {row[0] for row in rows} == {"B / b", "CD4+ T"}
    with pytest.warns(UserWarning, match="of other data.*tl.transfer again"):
        assert "Made before the data changed" in Page(written(tissue[:20].copy())).text


def test_hostile_names_are_text(written):
    adata = hostile_cells()
    tissue = adata.copy()
    smg.tl.transfer(adata, tissue, "cell_type", genes={PAYLOAD: list(adata.var_names[:4])}, n_random=0)
    parsed = Page(written(tissue, title=PAYLOAD))
    assert not parsed.all("script")
    assert any(GROUPS[0] in text for texts in parsed.texts.values() for text in texts)


def test_a_page_needs_a_transfer(adata, tmp_path):
    with pytest.raises(smg.errors.NotFoundError, match="run tl.transfer first"):
        smg.report.write_transfer(adata, tmp_path / "tissue.html")


@pytest.mark.slow
def test_the_chapter_on_structure_holds_the_metrics_that_were_asked_for(adata):
    smash(adata)
    options = {"genes": {"mine": MARKERS[:4]}, "n_genes": [2, 4], "n_splits": 2}
    smg.tl.evaluate(adata, "cell_type", structure=["neighbour_overlap", "captured_types"], **options)
    page = smg.report.page(adata)
    rows = rows_of(page, "Structure kept by each list")
    assert rows[0][1:] == ["mine, 4 genes"]
    for row, metric in zip(rows[1:], ("neighbour_overlap", "captured_types"), strict=True):
        mean = smg.get.evaluation(adata).loc[metric, "mean"]
        assert row[1].startswith(f"{mean:.3f}")
    curve = under_headings(rows_of(page, "Structure by number of genes")[1:])
    assert [row[:2] for row in curve] == [["mine", "2"], ["mine", "4"]]
    assert "Dashed" not in page  # random panels are a grey band
    assert "Structure inside types" in Page(page).texts["h2"]
    smg.tl.evaluate(adata, "cell_type", **options)
    assert "Structure inside types" not in Page(smg.report.page(adata, figures=False)).texts["h2"]
