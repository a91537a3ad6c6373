"""The worked order of the docs is made from the committed line, and its validation passes."""

from __future__ import annotations

import pytest
from cells import REPOSITORY

from benchmarks import record, worked_order

LINES = record.RESULTS / "worked_order.jsonl"


def test_the_page_is_made_from_the_newest_line():
    page = (REPOSITORY / "docs" / "worked-order.md").read_text(encoding="utf-8")
    assert page == worked_order.page(worked_order.newest(LINES)), "run: python -m benchmarks worked_order --page"
    assert "{{" not in page


def test_the_order_holds_what_was_asked_for_and_passes():
    facts = worked_order.newest(LINES)["facts"]
    assert facts["chosen"] == sum(facts["probe_sets"].values()) == 100
    assert facts["on_slide"] == 348
    assert facts["fullest"] <= 850
    assert "fail" not in facts["verdicts"] and facts["verdicts"]["pass"] >= 8


@pytest.mark.slow
def test_the_steps_run_as_they_are_written(tmp_path):
    if not (record.SHARED / "zeisel.h5ad").exists():
        pytest.skip("zeisel.h5ad is not there")
    found, now = worked_order.newest(LINES), worked_order.run(record.SHARED, tmp_path)
    assert set(now["said"]) == set(found["said"])
    assert now["facts"]["verdicts"] == found["facts"]["verdicts"]
    assert (now["facts"]["chosen"], now["facts"]["on_slide"]) == (100, 348)
