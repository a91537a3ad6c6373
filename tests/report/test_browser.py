"""The report in a browser: no scripts, no requests, no sideways scrolling."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import matplotlib as mpl
import pytest
from cases.page import PAYLOAD

import smash_gpu as smg

mpl.use("Agg")


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("SMASH_BROWSER_REQUIRED") == "1":
        pytest.fail(f"SMASH_BROWSER_REQUIRED=1, but none of {', '.join(BROWSERS)} is installed")
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


def browse(browser, folder, *pages, width):
    """Open the pages in frames of this width, and measure them there."""
    probe = """
    const measure = frame => {
      const inner = frame.contentDocument, images = [...inner.images];
      const fetched = frame.contentWindow.performance.getEntriesByType("resource").map(r => r.name);
      return {
        wide: inner.documentElement.scrollWidth, images: images.length, pwned: frame.contentWindow.pwned ?? 0,
        drawn: images.filter(i => i.complete && i.naturalWidth > 50).length, scripts: inner.scripts.length,
        fetched: fetched.filter(name => !name.startsWith("data:")), title: inner.title,
        scrolling: [...inner.querySelectorAll(".scroll")].filter(b => b.scrollWidth > b.clientWidth).length,
        size: parseFloat(getComputedStyle(inner.querySelector("td")).fontSize),
      };
    };
    onload = () => {
      document.querySelector("pre").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
    };"""
    frames = "".join(
        f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for page in pages
    )
    (folder / "probe.html").write_text(f"<pre></pre>{frames}<script>{probe}</script>", encoding="utf-8")
    headless = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    shown = subprocess.run(
        [*headless, "--virtual-time-budget=5000", "--dump-dom", (folder / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    ).stdout  # fmt: skip
    return json.loads(html.unescape(re.search(r"<pre>(\[.*?\])</pre>", shown, re.DOTALL).group(1)))


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


def test_names_are_harmless_in_a_browser_even_without_the_policy(browser, hostile, tmp_path):
    page = smg.report.page(hostile, title=f"Of {PAYLOAD}", figures=False)
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert bare != page
    attacked, blocked = (one.replace("</body>", f"{PAYLOAD}</body>") for one in (bare, page))
    found = browse(browser, tmp_path, bare, attacked, blocked, width=800)
    assert [one["pwned"] for one in found] == [0, 1, 0]  # the second shows that a script that runs would be seen
