"""The page of a designed panel, where there are no markers of a model."""

from __future__ import annotations

from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.report._figures import panel_figures
from smash_gpu.report._options import given
from smash_gpu.report._panel import DESIGNED, designed_columns, designed_notes, designed_tables
from smash_gpu.report._render import render
from smash_gpu.report._results import changed


def designed_page(adata: AnnData, title: str | None, *, figures: bool, umap: bool) -> str:
    """The text of the HTML file that `write` writes after `tl.panel` alone."""
    designed, columns = designed_tables(adata), designed_columns(adata)
    options = slots.recorded(adata, DESIGNED, "panel")
    return render(
        "designed_alone.html",
        title=title or f"Panel for {columns}".removesuffix(" for "),
        changed=changed(adata, {"designed panel": (DESIGNED, slots.DESIGN)}),
        n_genes=len(get.panel(adata)),
        designed=designed,
        designed_columns=columns,
        designed_notes=designed_notes(adata),
        figures=panel_figures(adata, designed, umap=umap) if figures else {},
        options=given(options),
    )
