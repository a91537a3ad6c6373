"""Lists of genes for all classes: the panel of the model, and that of `tl.panel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.panel.slide import EXISTING
from smash_gpu.report._results import Results
from smash_gpu.report._tables import Table, table
from smash_gpu.selection.options import PANEL_GENES

DESIGNED = "smash_panel"
ROWS = 25
STACKED = ("certificate", "platform")
TABLES = {
    "printed": "Printed panel that the genes are added to",
    "genes": "Genes in the order in which they were chosen, and what each adds",
    "losses": "What is lost without each gene, and what could replace it",
    "caps": "Sums compared with their limits",
    "certificate": "Markers of each class",
    "pairs": "Pairs of classes, least resolved first",
    "crowding": "Transcripts per cell of the whole panel in each class",
    "platform": "Numbers of the platform, how each was used, and its source",
    "rules": "Genes that the rules removed",
    "tuning": "Settings that were tried by cross-validation, and the share of cells that each misclassifies",
    "curve": "What the panel resolves or explains, by its size, the genes of a printed panel included",
}
TITLES = {
    "genes": {"name": "gene", "symbol": "symbol", "rank": "rank", "priority": "priority", "gain": "gain",
              "resolution": "resolution so far", "variation": "variation so far", "resolves": "resolves most",
              "failure_rate": "failure rate", "probe_sets": "probe sets",
              "mean_counts": "mean counts", "max_counts": "highest mean counts", "max_class": "in class"},
    "losses": {"name": "gene", "loss": "loss without it", "substitute": "substitute", "replaces": "share it replaces",
               "loss_with_substitute": "loss with substitute", "next_best": "next best gene",
               "loss_with_next_best": "loss with next best gene"},
    "printed": {"name": "gene", "symbol": "symbol", "ensembl_id": "Ensembl id", "in_data": "in these data",
                "probe_sets": "probe sets"},
    "tuning": {"tau": "τ", "prior": "prior", "variation": "variation", "misclassification": "misclassified",
               "chosen": "chosen"},
    "pairs": {"class_a": "class", "class_b": "other class", "column": "column", "resolved": "resolved",
              "possible": "possible"},
    "certificate": {"class": "class", "column": "column", "asked": "requested", "found": "in the panel",
                    "in_data": "in the data", "allowed": "allowed", "hardest": "hardest to separate from",
                    "possible": "possible", "reason": "reason", "way_out": "way out"},
    "crowding": {"class": "class", "column": "column", "cells": "cells", "transcripts": "transcripts per cell",
                 "limit": "limit"},
    "platform": {"what": "number", "low": "from", "high": "to", "used": "use", "source": "source"},
    "curve": {"n_genes": "genes", "resolution": "resolution", "of_bound": "of the best panel",
              "unweighted_resolution": "resolution without weights of genes",
              "variation": "variation explained", "variation_bound": "variation at most",
              "half_resolved": "pairs resolved", "weakest_pair": "least resolved pair"},
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """The panel of the model.

    Attributes
    ----------
    wanted, scored
        Number of genes wanted, and of genes with a score.
    genes
        Names in their order.
    times
        Per gene, in how many splits of the evaluation it was chosen; empty if the selection was not repeated there.
    n_splits
        How many splits there were.
    """

    wanted: int
    scored: int
    genes: list[str]
    times: dict[str, int]
    n_splits: int


def describe_panel(results: Results) -> Panel:
    """The panel of as many genes as the largest of the selection that was evaluated, or else of all lists."""
    main = results.main if results.is_evaluated else None
    if main is not None and results.repeated:
        main = main[main["genes"] == results.repeated]
    wanted = PANEL_GENES if main is None else int(main["n_used"].max())
    scored = slots.n_scored(results.adata, results.key)
    genes = get.marker_panel(results.adata, min(wanted, scored), key=results.key) if scored else []
    times, n_splits = {}, 0
    if results.is_evaluated and results.repeated:
        chosen = get.evaluation_panels(results.adata, key=results.key)
        chosen = chosen[chosen["genes"].astype(str) == results.repeated]
        n_splits = chosen["split"].nunique()
        counted = chosen.groupby(chosen["name"].astype(str))["split"].nunique()
        times = counted.reindex(genes, fill_value=0).to_dict()
    return Panel(wanted, scored, genes, times, n_splits)


def designed_tables(adata: AnnData) -> dict[str, Table]:
    """The tables of `tl.panel`; none if it has not run. The curve counts the genes of the printed panel, too."""
    slots.warn_if_changed(adata, DESIGNED, slots.DESIGN)
    found = adata.uns.get(DESIGNED, {})
    printed = _printed(found)
    found = {**found, "printed": printed, "losses": found.get("genes")}
    if isinstance(platform := found.get("platform"), pd.DataFrame):
        found["platform"] = with_address(platform)
    if isinstance(curve := found.get("curve"), pd.DataFrame):
        curve = curve[curve["n_genes"] + len(printed) > 0]
        found["curve"] = curve.assign(n_genes=curve["n_genes"] + len(printed))
    tables = {name: _table(name, found[name]) for name in TABLES if isinstance(found.get(name), pd.DataFrame)}
    return {name: table for name, table in tables.items() if table.n_rows and (len(table.columns) > 1)}


def with_address(platform: pd.DataFrame) -> pd.DataFrame:
    """The numbers of a platform, the address of each source after it."""
    texts = zip(platform["source"].astype(str), platform["url"].astype(str), strict=True)
    return platform.assign(source=[", ".join(filter(None, text)) for text in texts])


def _printed(found: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the slide that were there before the design."""
    slide = found.get("slide", pd.DataFrame({"origin": []}))
    printed = slide[slide["origin"] == EXISTING]
    if not len(printed):
        return printed
    return printed.assign(in_data=np.where(printed["in_data"], "yes", "no")).dropna(axis=1, how="all")


def designed_notes(adata: AnnData) -> list[str]:
    """Sentences on the printed panel and on the genes that may fail."""
    found = adata.uns.get(DESIGNED, {})
    notes, printed, genes = [], _printed(found), found.get("genes", pd.DataFrame())
    if len(printed):
        absent = int((printed["in_data"] == "no").sum())
        lacking = f", of which the data lack {absent:,}; these separate nothing" * bool(absent)
        notes.append(
            f"The genes are added to a printed panel of {len(printed):,} genes{lacking}. Resolution is that of both "
            "together."
        )
    if "failure_rate" in genes:
        low, high = genes["failure_rate"].min(), genes["failure_rate"].max()
        rate = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        notes.append(
            f"Each gene of the panel fails with a probability of {rate}; the panel is chosen to be the best on "
            "average, and all numbers are means over such failures."
        )
    return notes


def designed_columns(adata: AnnData) -> str:
    """The columns of labels that `tl.panel` had to resolve."""
    groupby = slots.recorded(adata, DESIGNED, "panel").get("groupby", ())
    columns = groupby if isinstance(groupby, Mapping | tuple) else [groupby] * (groupby is not None)
    return ", ".join(str(column).removesuffix(" = 1.0") for column in columns)


def _table(name: str, data: pd.DataFrame) -> Table:
    """Of long tables the first rows, of the curve rows from the first to the last."""
    titles = TITLES.get(name) or {str(column): str(column).replace("_", " ") for column in data}
    if name == "certificate" and not data["asked"].any():
        titles = {column: title for column, title in titles.items() if column != "asked"}
    rows = np.arange(len(data))
    if name == "curve" and len(data) > ROWS:
        rows = np.unique(np.linspace(0, len(data) - 1, ROWS).round().astype(int))
    elif name in ("printed", "pairs", "rules", "caps", "certificate"):
        rows = rows[:ROWS]
    return table(TABLES[name], data, titles, rows=rows, is_stacked=name in STACKED)
