"""Results as values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import ranking, slots

EVALUATION_STATISTICS = ("mean", "std", "min", "max")


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
        raise KeyError(f"no group {group!r} among the markers; groups: {', '.join(map(str, table['group'].unique()))}.")
    return table[table["group"] == group].reset_index(drop=True)


def markers_dict(adata: AnnData, n_top: int | None = None, *, key: str = slots.KEY) -> dict[str, list[str]]:
    """Group → names of its first ``n_top`` markers, as ``scanpy.pl.dotplot`` takes it."""
    table = markers(adata, key=key)
    rows = table.groupby("group", observed=True, sort=False)["name"]
    return {str(group): names.tolist()[:n_top] for group, names in rows}


def panel(adata: AnnData, n_genes: int, *, key: str = slots.KEY) -> list[str]:
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


def evaluation(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """The readings of the last `tl.evaluate`: mean, standard deviation, minimum and maximum over the splits."""
    table = slots.require(adata, "evaluation", key, "tl.evaluate")
    return table.drop(columns="split").agg(list(EVALUATION_STATISTICS)).T


def confusion(adata: AnnData, *, key: str = slots.KEY) -> pd.DataFrame:
    """Held-out cells of the last `tl.evaluate` by true (rows) and predicted group (columns), summed over the splits."""
    counts = slots.require(adata, "confusion", key, "tl.evaluate")
    groups = [str(g) for g in slots.require(adata, "evaluation_groups", key, "tl.evaluate")]
    return pd.DataFrame(
        np.array(counts), index=pd.Index(groups, name="true"), columns=pd.Index(groups, name="predicted")
    )


def panel_genes(adata: AnnData, *, key: str = slots.PANEL) -> list[str]:
    """The genes of the last `tl.panel`, in the order of choice; existing genes that it extends are not among them."""
    return panel_table(adata, key=key)["name"].tolist()


def panel_table(adata: AnnData, table: str = "genes", *, key: str = slots.PANEL) -> pd.DataFrame:
    """A table of the last `tl.panel`: see there for what each holds.

    Parameters
    ----------
    table
        "genes", "pairs", "purposes", "curve", "rules", "caps" or "certificate".
    """
    return slots.require(
        adata, table, key, "tl.panel (tables: genes, pairs, purposes, curve, rules, caps, certificate)"
    ).copy()
