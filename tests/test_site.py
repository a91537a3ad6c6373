"""The built site on the width of a phone; skipped where it was not built, or from another style sheet."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.browser import browse, find_browser

DOCS = Path(__file__).parents[1] / "docs"
BUILT = DOCS / "_build"
STYLE = Path("_static", "narrow.css")
PAGES_AT_ONCE = 20


@pytest.mark.slow
def test_no_page_of_the_site_scrolls_sideways_on_a_phone(tmp_path):
    pages = sorted(page for page in BUILT.rglob("*.html") if not {"_static", "_sources"} & {*page.parts})
    if not pages or (BUILT / STYLE).read_bytes() != (DOCS / STYLE).read_bytes():
        pytest.skip("the site is not built as it is now: .ci/docs builds it in docs/_build")
    browser, wide = find_browser(), {}
    for start in range(0, len(pages), PAGES_AT_ONCE):
        some = pages[start : start + PAGES_AT_ONCE]
        widths = [found["wide"] for found in browse(browser, tmp_path, *some, width=390)]
        wide |= {page.name: width for page, width in zip(some, widths, strict=True) if width > 390}
    assert not wide
