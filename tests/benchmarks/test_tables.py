"""Every table of the site and of the README is the one that the committed lines give."""

from __future__ import annotations

import re

import pytest
from cells import REPOSITORY

from benchmarks import quality_table, record, tables
from benchmarks.tables import short, structure
from benchmarks.tables.markdown import lines

CASES = [pytest.param(page, name, id=name) for page, of in tables.PAGES.items() for name in of]
ELSEWHERE = {"choices", "models", "units", "determinism"}  # test_which_model, test_determinism
MARK = re.compile(r"<!-- end of (.*) -->")


@pytest.mark.parametrize(("page", "name"), CASES)
def test_a_page_shows_the_committed_lines(page, name):
    assert record.marked(page, name) == tables.PAGES[page][name](), "run: python -m benchmarks tables"


def test_the_figure_of_structure_is_of_the_committed_lines():
    from PIL import Image

    with Image.open(structure.FIGURE) as image:
        assert image.text["Source"] == structure.digest(), "run: python -m benchmarks tables"


def test_every_table_between_marks_is_compared():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    found = {name for page in pages for name in MARK.findall(page.read_text(encoding="utf-8"))}
    assert found == {name for of in tables.PAGES.values() for name in of} | ELSEWHERE


def test_the_short_table_is_the_mean_of_paired_differences():
    """A plain loop over the units and seeds gives the same."""
    values: dict[tuple, float] = {}
    for row in lines("quality"):
        if row["seed"] in quality_table.JUDGED and row["method"] in ("pairs", "wilcoxon") and row["k"] == 10:
            values[row["set"], row["groupby"], row["seed"], row["method"]] = 100 * row["misclassification"]
    units = {(name, column) for name, column, _, _ in values}
    of_units = [
        sum(
            values[*unit, seed, "pairs"] / len(quality_table.JUDGED)
            - values[*unit, seed, "wilcoxon"] / len(quality_table.JUDGED)
            for seed in quality_table.JUDGED
        )
        for unit in units
    ]
    row = next(line for line in short.panels().splitlines() if line.startswith("| `tl.panel` |"))
    assert len(units) == 12
    assert row.split(" | ")[1].startswith(f"{sum(of_units) / 12:+.1f}".replace("-", "−"))
