"""The report in a browser: no scripts, no requests, no sideways scrolling of the page, light and dark."""

from __future__ import annotations

import re

import matplotlib as mpl
import pytest
from cases.browser import browse, contrast, find_browser
from cases.page import PAYLOAD, smash

import smash_gpu as smg

mpl.use("Agg")


@pytest.fixture(scope="module")
def browser():
    return find_browser()


@pytest.fixture(scope="module")
def whole():
    """All chapters, with names as long as those of real types."""
    adata = smg.datasets.planted()
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"A": "CD4+/CD45RA+/CD25- Naive T"})
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", n_genes=[3, 6], n_splits=2, n_random=1, structure=True)
    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=2)
    smg.tl.panel(adata, "cell_type", n_genes=6, platform="xenium_v1", max_transcripts=90)
    return smg.report.page(adata)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scrolls"), [(360, True), (1200, False)])
def test_a_browser_shows_the_page_without_scripts_requests_or_sideways_scrolling(
    browser, page, tmp_path, width, scrolls
):
    (found,) = browse(browser, tmp_path, page, width=width)
    assert found["wide"] <= width
    assert found["drawn"] == found["images"] == 5
    assert found["fetched"] == []
    assert (found["pwned"], found["scripts"]) == (0, 0)
    assert found["title"] == f"Of {PAYLOAD}"
    assert found["size"] >= 13
    if scrolls:
        assert found["scrolling"] > 3  # wide tables and figures, each in its box


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_chapters_fit_a_phone_in_both_colour_schemes(browser, whole, tmp_path, scheme):
    (found,) = browse(browser, tmp_path, whole, width=390, scheme=scheme)
    assert found["wide"] <= 390
    assert found["scrolling"] > 10 and all(found["stays"])  # the first column stays where the others move
    assert found["blocks"] == [False] * 2  # tables with sentences are blocks of lines, which do not scroll
    assert contrast(found["ink"], found["paper"]) > 12
    assert (contrast(found["paper"], "rgb(0, 0, 0)") < 2) == (scheme == "dark")
    assert len(found["turned"]) > 8
    assert all((style == "none") == (scheme == "light") for style in found["turned"])


def test_names_are_harmless_in_a_browser_even_without_the_policy(browser, hostile, tmp_path):
    page = smg.report.page(hostile, title=f"Of {PAYLOAD}", figures=False)
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert bare != page
    attacked, blocked = (one.replace("</body>", f"{PAYLOAD}</body>") for one in (bare, page))
    found = browse(browser, tmp_path, bare, attacked, blocked, width=800)
    assert [one["pwned"] for one in found] == [0, 1, 0]  # the second shows that a script that runs would be seen
