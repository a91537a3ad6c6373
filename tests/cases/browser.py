"""Pages measured in a browser, where there is one."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROBE = """
const left = element => element.getBoundingClientRect().left;
const stays = box => {
  const first = box.querySelector("tbody tr:not(.part) > th");
  box.scrollLeft = 60;
  return !first || Math.abs(left(first) - left(box)) < 1.5;
};
const measure = frame => {
  const inner = frame.contentDocument, images = [...inner.images], style = frame.contentWindow.getComputedStyle;
  const fetched = frame.contentWindow.performance.getEntriesByType("resource").map(r => r.name);
  const scrolls = [...inner.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth);
  const cell = inner.querySelector("td"), own = [...inner.querySelectorAll("figure:not(.coloured) img")];
  return {
    wide: inner.documentElement.scrollWidth, images: images.length, pwned: frame.contentWindow.pwned ?? 0,
    drawn: images.filter(i => i.complete && i.naturalWidth > 50).length, scripts: inner.scripts.length,
    fetched: fetched.filter(name => !name.startsWith("data:")), title: inner.title, scrolling: scrolls.length,
    size: cell && parseFloat(style(cell).fontSize), stays: scrolls.map(stays),
    blocks: [...inner.querySelectorAll(".stacked")].map(box => scrolls.includes(box)),
    ink: style(inner.body).color, paper: style(inner.body).backgroundColor, turned: own.map(i => style(i).filter),
  };
};
onload = () => setTimeout(() => {
  document.querySelector("pre").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
}, 500);"""


def find_browser():
    """The program, or a skipped test."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("SMASH_BROWSER_REQUIRED") == "1":
        pytest.fail(f"SMASH_BROWSER_REQUIRED=1, but none of {', '.join(BROWSERS)} is installed")
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


def browse(browser, folder, *pages, width, scheme="light"):
    """Open the pages (texts, or paths of files) in frames of this width, and measure them there."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:800px;border:0;color-scheme:{scheme}" {_source(page)}></iframe>'
        for page in pages
    )
    (folder / "probe.html").write_text(f"<pre></pre>{frames}<script>{PROBE}</script>", encoding="utf-8")
    headless = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    shown = subprocess.run(
        [*headless, "--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom",
         (folder / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    ).stdout  # fmt: skip
    return json.loads(html.unescape(re.search(r"<pre>(\[.*?\])</pre>", shown, re.DOTALL).group(1)))


def _source(page):
    return f'srcdoc="{html.escape(page)}"' if isinstance(page, str) else f'src="{page.as_uri()}"'


def contrast(one, other):
    """Of two colours as a style sheet has them, by the WCAG: from 1 to 21."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour):
    rgb = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
