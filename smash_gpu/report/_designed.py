"""The page of a designed panel and its evaluation, where there are no markers of a model."""

from __future__ import annotations

from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.report._evaluation import CURVE, describe_evaluation
from smash_gpu.report._figures import evaluation_figures, panel_figures
from smash_gpu.report._options import given
from smash_gpu.report._panel import DESIGNED, designed_columns, designed_notes, designed_tables
from smash_gpu.report._render import render
from smash_gpu.report._results import Results, changed
from smash_gpu.report._structure import describe_structure


def designed_page(adata: AnnData, title: str | None, key: str, *, figures: bool, umap: bool) -> str:
    """The text of the HTML file that `write` writes after `tl.panel` without `tl.smash`."""
    designed, columns = designed_tables(adata), designed_columns(adata)
    options, results = slots.recorded(adata, DESIGNED, "panel"), Results(adata, key)
    evaluation, structure = describe_evaluation(results), describe_structure(results)
    made = {"designed panel": (DESIGNED, slots.DESIGN)}
    if evaluation:
        made["evaluation"] = key, slots.EVALUATION
    drawings = {}
    if figures:
        drawings = panel_figures(adata, designed, umap=umap) | evaluation_figures(results, evaluation, structure)
    return render(
        "designed_alone.html",
        title=title or f"Panel for {columns}".removesuffix(" for "),
        changed=changed(adata, made),
        n_genes=len(get.panel(adata)),
        designed=designed,
        designed_columns=columns,
        designed_notes=designed_notes(adata),
        results=results,
        evaluation=evaluation,
        curve_metrics=CURVE,
        structure=structure,
        figures=drawings,
        options=given(options),
    )
