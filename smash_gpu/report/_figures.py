"""Figures inside the page: SVG if it is small, else PNG; both are stored in the page, so nothing has to be fetched."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from anndata import AnnData

from smash_gpu import pl
from smash_gpu.report._evaluation import CURVE, PAIRS, Evaluation
from smash_gpu.report._markers import GENES_IN_A_FIGURE, Markers
from smash_gpu.report._panel import DESIGNED
from smash_gpu.report._results import Results
from smash_gpu.report._structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SALT = "smash-gpu"  # for element ids that do not change from run to run
LARGEST_SVG = 300_000  # bytes
PNG_DPI = 160
PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class Figure:
    """A figure as a data URI, and its size in pixels."""

    source: str
    width: int
    height: int


def figures(
    results: Results,
    markers: Markers,
    evaluation: Evaluation | None,
    designed: dict[str, Any],
    *,
    structure: Structure | None,
) -> dict[str, Figure]:
    """The figures that these results allow, by the name of their function in `pl`; none if none are wanted."""
    if not results.figures:
        return {}
    adata, key, made = results.adata, results.key, {}
    if markers.rows:
        made["dotplot"] = drawn(pl.dotplot(adata, n_top=markers.n_shown, key=key))
        made["importance"] = drawn(pl.importance(adata, key=key))
    made |= evaluation_figures(results, evaluation, structure)
    return made | panel_figures(adata, designed, umap=results.umap)


def evaluation_figures(
    results: Results, evaluation: Evaluation | None, structure: Structure | None
) -> dict[str, Figure]:
    """What is confused, and the metrics by the number of genes."""
    adata, key, made = results.adata, results.key, {}
    if evaluation:
        made["confusion"] = drawn(pl.confusion(adata, genes=results.featured, key=key))
        if evaluation.curve:
            made["learning_curve"] = drawn(pl.learning_curve(adata, CURVE[0], key=key))
        if evaluation.pairs:
            made["unresolved_pairs"] = drawn(pl.unresolved_pairs(adata, n_pairs=PAIRS, genes=results.featured, key=key))
    if structure and structure.curve:
        made["structure_curve"] = drawn(pl.learning_curve(adata, structure.names[0], key=key))
    return made


def panel_figures(adata: AnnData, designed: dict[str, Any], *, umap: bool) -> dict[str, Figure]:
    """The designed panel; in every class: dots, colours, transcripts per cell, levels; and the cells themselves."""
    found, made = adata.uns.get(DESIGNED, {}), dict[str, Any]()
    if "curve" in designed:
        made["panel_curve"] = pl.panel_curve
    if "pairs" in designed:
        made["panel_pairs"] = partial(pl.panel_pairs, n_pairs=PAIRS)
    if "crowding" in found:
        made |= _in_classes(found, umap=umap)
    return {name: drawn(draw(adata, key=DESIGNED)) for name, draw in made.items()}


def _in_classes(found: dict[str, Any], *, umap: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if "class_mean" in found:
        for column in dict.fromkeys(found["crowding"]["column"].astype(str)):
            how = {"n_genes": GENES_IN_A_FIGURE, "column": column}
            made[f"panel_dotplot {column}"] = partial(pl.panel_dotplot, **how)
            made[f"panel_heatmap {column}"] = partial(pl.panel_heatmap, **how)
    if found["crowding"]["transcripts"].notna().all():
        made |= {"panel_crowding": pl.panel_crowding, "panel_levels": pl.panel_levels}
    if umap:
        made["panel_umap"] = pl.panel_umap
    return made


def drawn(ax: Axes, *, largest_svg: int = LARGEST_SVG) -> Figure:
    """The figure of ``ax``, which is closed; PNG if its SVG would have more bytes than ``largest_svg``."""
    from matplotlib import pyplot as plt

    drawing = ax.figure
    assert isinstance(drawing, plt.Figure), "the figures of reports have no parts"
    width, height = (round(PIXELS_PER_INCH * inches) for inches in drawing.get_size_inches())
    data = _svg(drawing)
    kind = "svg+xml" if len(data) <= largest_svg else "png"
    if kind == "png":
        drawing.set_layout_engine("none")  # everything has its place
        data = _png(drawing)
    plt.close(drawing)
    return Figure(f"data:image/{kind};base64,{b64encode(data).decode()}", width, height)


def _png(drawing: Any) -> bytes:
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return file.getvalue()


def _svg(drawing: Any) -> bytes:
    """Text as outlines, so that it looks the same everywhere; without comments, metadata and document type."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": SALT, "svg.fonttype": "path"}):
        drawing.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue().decode()
    text = re.sub(r"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", text).encode()
