"""The gallery of the site draws every figure."""

from __future__ import annotations

import re
from pathlib import Path

from smash_gpu import pl

GALLERY = Path(__file__).parents[2] / "docs" / "gallery.md"


def test_every_figure_is_drawn_once_or_more_and_named():
    text = GALLERY.read_text(encoding="utf-8")
    cells = "".join(re.findall(r"```\{code-cell\} python\n(.*?)```", text, re.DOTALL))
    assert set(re.findall(r"smg\.pl\.(\w+)\(", cells)) == set(pl.__all__)
    assert set(re.findall(r"\{py:obj\}`smash_gpu\.pl\.(\w+)`", text)) == set(pl.__all__)
