"""The page of a validated list of genes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu import get, pl
from smash_gpu.annotated import slots
from smash_gpu.report._figures import Figure, drawn
from smash_gpu.report._options import given
from smash_gpu.report._panel import TITLES as OF_PANEL
from smash_gpu.report._panel import with_address
from smash_gpu.report._render import render
from smash_gpu.report._results import changed
from smash_gpu.report._tables import Table, table

CAPTIONS = {
    "checks": "Checks",
    "crowding": "Transcripts per cell of the list and the printed panel together, fullest class first",
    "genes": "Genes of the list",
    "platform": "Numbers of the platform, how each was used, and its source",
}
TITLES = {
    "checks": {"check": "check", "verdict": "verdict", "detail": "what was found", "genes": "genes"},
    "crowding": OF_PANEL["crowding"],
    "genes": {"gene": "gene", "name": "name in the data", "symbol": "symbol", "ensembl_id": "Ensembl id",
              "mean_counts": "mean counts", "max_counts": "highest mean counts", "max_class": "in class",
              "faults": "checks that it does not pass"},
    "platform": OF_PANEL["platform"],
}  # fmt: skip


def validation_page(adata: AnnData, title: str | None, key: str, *, figures: bool) -> str:
    """The text of the HTML file that `write_validation` writes."""
    checks = get.validation(adata, key=key)
    found = {name: get.validation(adata, name, key=key) for name in CAPTIONS}
    found["platform"] = with_address(found["platform"])
    found["crowding"] = found["crowding"].sort_values("transcripts", ascending=False, kind="stable")
    options = slots.recorded(adata, key, "validation")
    counts = checks["verdict"].value_counts().to_dict()
    return render(
        "validation.html",
        title=title or " ".join(["Validation of a list of genes", *_for(options)]),
        changed=changed(adata, {"validation": (key, slots.VALIDATED)}),
        n_genes=len(found["genes"]),
        counts={verdict: counts.get(verdict, 0) for verdict in ("fail", "warn", "pass", "not checked")},
        tables={name: _table(name, rows) for name, rows in found.items() if len(rows)},
        figures=_figures(adata, key) if figures and found["crowding"]["transcripts"].notna().all() else {},
        options=given(options),
    )


def _for(options: dict[str, Any]) -> list[str]:
    return [f"for {options['platform']}"] if options.get("platform") else []


def _figures(adata: AnnData, key: str) -> dict[str, Figure]:
    return {"crowding": drawn(pl.panel_crowding(adata, key=key)), "levels": drawn(pl.panel_levels(adata, key=key))}


def _table(name: str, data: pd.DataFrame) -> Table:
    """The columns that are not empty, by title; limits of `limits=` go by their names."""
    more = {str(column): str(column) for column in data if name == "genes" and column not in TITLES[name]}
    titles = TITLES[name] | more
    return table(CAPTIONS[name], data, titles, is_stacked=name in ("checks", "platform"))
