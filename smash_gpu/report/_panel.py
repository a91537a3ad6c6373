"""One list of genes for all groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu import get, slots
from smash_gpu.report._elements import Chapter, Html, chapter, element, frame, paragraph
from smash_gpu.report._results import Results
from smash_gpu.tl._choosers import PANEL_GENES
from smash_gpu.tl._evaluate import SELECTION

DESIGNED = "smash_panel"
ROWS = 25
TABLES = {
    "genes": "The panel in the order of choice: what each gene adds",
    "caps": "Sums against their caps",
    "certificate": "Promises that could not be kept",
    "pairs": "Pairs of classes, the least resolved first",
    "rules": "Genes that the rules removed",
    "curve": "Size against resolution",
}


def panel_section(results: Results) -> Chapter:
    """The panel in which the groups choose in turn."""
    wanted = _size(results)
    scored = int((~np.isnan(slots.eligible_scores(results.adata, results.key))).any(axis=0).sum())
    size = min(wanted, scored)
    genes = get.panel(results.adata, size, key=results.key)
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
        ", gene by gene: the next is always the one that resolves most of what is still unresolved.",
    )
    written = (_table(TABLES[name], table, whole=name in ("genes", "certificate")) for name, table in tables.items())
    return chapter("Designed panel", "designed", words, *written)


def _columns(groupby: object) -> str:
    return ", ".join(map(str, groupby if isinstance(groupby, Mapping | tuple) else [groupby]))


def _table(caption: str, table: pd.DataFrame, *, whole: bool) -> Html:
    """The first rows of a long table, of a curve rows from end to end; unless it is wanted whole."""
    if whole or len(table) <= ROWS:
        return frame(caption, table)
    if "n_genes" in table:
        rows = np.unique(np.linspace(0, len(table) - 1, ROWS).round().astype(int))
        return frame(f"{caption} ({len(rows)} of {len(table):,} sizes)", table.iloc[rows])
    return frame(f"{caption} (the first {ROWS} of {len(table):,})", table[:ROWS])
