"""Results as values."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.get._evaluation import (
    comparison,
    confusion,
    differences,
    evaluation,
    evaluation_panels,
    evaluation_splits,
    group_metrics,
    learning_curve,
    unresolved_pairs,
)
from smash_gpu.get._panel import panel, panel_table
from smash_gpu.get._peers import nsforest_metrics, spapros_metrics
from smash_gpu.get._stability import panel_overlap, stability, substitutes
from smash_gpu.selection import ranking

__all__ = [
    "comparison",
    "confusion",
    "differences",
    "evaluation",
    "evaluation_panels",
    "evaluation_splits",
    "group_metrics",
    "learning_curve",
    "markers",
    "markers_dict",
    "nsforest_metrics",
    "marker_panel",
    "panel",
    "panel_overlap",
    "panel_table",
    "spapros_metrics",
    "stability",
    "substitutes",
    "unresolved_pairs",
]


def __dir__() -> list[str]:
    return __all__


def markers(adata: AnnData, group: object = None, *, key: str = slots.KEY) -> pd.DataFrame:
    """The markers of all groups or of one; a row a marker.

    Returns
    -------
    Columns ``group``, ``rank`` (from 1), ``name``, ``score``, ``direction`` ("up" or "down" against the rest),
    ``fraction_in``/``fraction_out`` (share of cells that express the gene), ``mean_in``/``mean_out`` (mean of log1p of
    counts per 10,000), with a sample column ``samples`` (share of samples that show it), with ``within`` that column.
    """
    table = slots.require(adata, "markers", key, "tl.smash or tl.rank_markers")
    if group is None:
        return table.copy()
    group = str(group)
    if group not in set(table["group"]):
        raise NotFoundError(
            f"no group {group!r} among the markers; groups: {', '.join(map(str, table['group'].unique()))}."
        )
    return table[table["group"] == group].reset_index(drop=True)


def markers_dict(adata: AnnData, n_top: int | None = None, *, key: str = slots.KEY) -> dict[str, list[str]]:
    """Group → names of its first ``n_top`` markers, as ``scanpy.pl.dotplot`` takes it."""
    table = markers(adata, key=key)
    rows = table.groupby("group", observed=True, sort=False)["name"]
    return {str(group): names.tolist()[:n_top] for group, names in rows}


def marker_panel(adata: AnnData, n_genes: int, *, key: str = slots.KEY) -> list[str]:
    """The global list: exactly ``n_genes`` different genes, best first.

    The groups choose in turn, each its best gene that is still free, the group with the highest score first; so every
    prefix serves all groups. Genes that the sample rule or ``positive_only`` forbids for a group are not chosen by it.

    Raises
    ------
    ValueError
        If fewer genes than that have a score.
    """
    names = adata.var_names.astype(str).to_numpy(dtype=object)
    return names[ranking.panel(slots.eligible_scores(adata, key), names, n_genes)].tolist()
