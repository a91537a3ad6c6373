"""One list of genes for all groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu import get, pl
from smash_gpu.annotated import slots
from smash_gpu.evaluation.cross_validation import SELECTION
from smash_gpu.report._elements import Chapter, Html, chapter, element, frame, paragraph
from smash_gpu.report._figures import figure
from smash_gpu.report._results import Results
from smash_gpu.selection.options import PANEL_GENES

DESIGNED = "smash_panel"
ROWS = 25
TABLES = {
    "genes": "The panel in the order of choice: what each gene adds, and what is lost without it",
    "caps": "Sums against their caps",
    "certificate": "Promises that could not be kept",
    "pairs": "Pairs of classes, the least resolved first",
    "rules": "Genes that the rules removed",
    "curve": "Size against resolution",
}
TITLES = {
    "genes": {"name": "gene", "symbol": "symbol", "rank": "rank", "priority": "priority", "gain": "gain",
              "resolution": "resolution so far", "resolves": "resolves most", "loss": "loss without it",
              "substitute": "substitute", "loss_with_substitute": "loss with the substitute",
              "mean_counts": "mean counts", "max_counts": "most counts", "max_class": "in"},
    "pairs": {"class_a": "class", "class_b": "other", "column": "column", "resolved": "resolved",
              "possible": "possible with so many genes for this pair alone"},
    "curve": {"n_genes": "number of genes", "resolution": "resolution", "of_bound": "of what is possible, at least",
              "half_resolved": "pairs resolved by half", "weakest_pair": "weakest pair"},
}  # fmt: skip


def panel_section(results: Results) -> Chapter:
    """The panel in which the groups choose in turn."""
    wanted = _size(results)
    scored = int((~np.isnan(slots.eligible_scores(results.adata, results.key))).any(axis=0).sum())
    size = min(wanted, scored)
    genes = get.marker_panel(results.adata, size, key=results.key)
    words = paragraph(
        "One list for all groups: they choose in turn, each its best gene that is still free, so every beginning of "
        "the list serves all groups.",
        f" {wanted} genes were asked for; {scored} have a score." if size < wanted else "",
    )
    chosen = _times_chosen(results)
    items = [element("li", element("i", gene), element("small", f" {chosen[gene]}") if gene in chosen else "")
             for gene in genes]  # fmt: skip
    note = paragraph(
        "Small: in how many of the splits of the evaluation, where the selection was repeated without the held-out "
        "cells, the gene was chosen again.", class_="note",
    ) if chosen else ""  # fmt: skip
    return chapter(f"Panel of {size} genes", "panel", words, element("ol", *items, class_="genes"), note)


def _size(results: Results) -> int:
    return int(results.main["n_genes"].max()) if results.is_evaluated else PANEL_GENES


def _times_chosen(results: Results) -> dict[str, str]:
    if SELECTION not in results.chosen_inside:
        return {}
    panels = get.evaluation_panels(results.adata, key=results.key)
    panels = panels[(panels["genes"].astype(str) == SELECTION)]
    splits = panels["split"].nunique()
    times = panels.groupby(panels["name"].astype(str))["split"].nunique().to_dict()
    names = results.adata.var_names.astype(str)
    return {name: f"{times.get(name, 0)}/{splits}" for name in names}


def designed_section(results: Results) -> Chapter | None:
    """The panel of `tl.panel`, if it has run."""
    found = results.adata.uns.get(DESIGNED, {})
    tables = {name: found[name] for name in TABLES if isinstance(found.get(name), pd.DataFrame) and len(found[name])}
    if not tables:
        return None
    options = slots.recorded(results.adata, DESIGNED, "panel")
    words = paragraph(
        "Chosen by tl.panel for all classes together",
        f", column {_columns(options['groupby'])}" if "groupby" in options else "",
        ". The next gene is always the one that resolves most of what is still unresolved; resolution is the share of "
        "what all genes together resolve.",
    )
    written = (_table(name, table) for name, table in tables.items())
    return chapter("Designed panel", "designed", words, *_drawn(results, tables), *written)


def _drawn(results: Results, tables: Mapping[str, pd.DataFrame]) -> list[Html]:
    if not (results.figures and {"curve", "pairs"} <= tables.keys()):
        return []
    return [
        figure(
            pl.panel_curve(results.adata, key=DESIGNED),
            "Size of the panel against what it resolves, from one greedy run. The bound lies above what any panel of "
            "that size can reach.",
            "Resolution against the number of genes; its values are in the table of sizes below.",
        ),
        figure(
            pl.panel_pairs(results.adata, n_pairs=ROWS, key=DESIGNED),
            "The pairs of classes that the panel resolves least. The marks say what as many genes chosen for this pair "
            "alone would leave.",
            "Unresolved share of the hardest pairs; their values are in the table of pairs below.",
        ),
    ]


def _columns(groupby: object) -> str:
    columns = groupby if isinstance(groupby, Mapping | tuple) else [groupby]
    return ", ".join(str(column).removesuffix(" = 1.0") for column in columns)


def _table(name: str, data: pd.DataFrame) -> Html:
    """The columns that say something; of long tables the first rows, of the curve rows from end to end."""
    titles = TITLES.get(name) or {str(column): str(column).replace("_", " ") for column in data}
    said = [column for column in titles if column in data and data[column].astype(str).str.strip().ne("").any()]
    if "symbol" in said and (data["symbol"].astype(str) == data["name"].astype(str)).all():
        said.remove("symbol")
    rows, note = np.arange(len(data)), ""
    if name == "curve" and len(data) > ROWS:
        rows = np.unique(np.linspace(0, len(data) - 1, ROWS).round().astype(int))
        note = f" ({len(rows)} of {len(data):,} sizes)"
    elif name in ("pairs", "rules", "caps") and len(data) > ROWS:
        rows, note = rows[:ROWS], f" (the first {ROWS} of {len(data):,})"
    return frame(TABLES[name] + note, data.iloc[rows][said], titles)
