"""Figures inside the page: SVG as long as it is small, else PNG; both as data, so that nothing is fetched."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from smash_gpu.report._elements import Html, element

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SALT = "smash-gpu"  # for element ids that do not change from run to run
LARGEST_SVG = 300_000  # bytes
PNG_DPI = 160
PIXELS_PER_INCH = 96
SMALLEST = 0.72  # of the drawn size; narrower pages scroll


def figure(ax: Axes, caption: Any, alt: str) -> Html:
    """The figure of ``ax``, which is closed, with a caption and a description for those who do not see it."""
    from matplotlib import pyplot as plt

    width, height = (round(PIXELS_PER_INCH * inches) for inches in ax.figure.get_size_inches())
    data = _data(ax.figure)
    plt.close(ax.figure)
    image = element(
        "img", src=data, alt=alt, width=width, height=height, style=f"min-width:{round(SMALLEST * width)}px"
    )
    box = element("div", image, class_="scroll", role="region", tabindex="0", aria_label=alt)
    return element("figure", box, element("figcaption", caption))


def _data(drawing: Any) -> str:
    svg = _svg(drawing)
    if len(svg) <= LARGEST_SVG:
        return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def _svg(drawing: Any) -> bytes:
    """Text as outlines, so that it looks the same everywhere; without comments, metadata and document type."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": SALT, "svg.fonttype": "path"}):
        drawing.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue().decode()
    text = re.sub(r"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", text).encode()
