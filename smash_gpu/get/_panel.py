"""The last panel design as values."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots

TABLES = "genes, pairs, purposes, curve, rules, caps, certificate"


def panel(adata: AnnData, *, key: str = slots.PANEL) -> list[str]:
    """The genes of the last `tl.panel`, in the order of choice; existing genes that it extends are not among them."""
    return panel_table(adata, key=key)["name"].tolist()


def panel_table(adata: AnnData, table: str = "genes", *, key: str = slots.PANEL) -> pd.DataFrame:
    """A table of the last `tl.panel`: see there for what each holds.

    Parameters
    ----------
    table
        "genes", "pairs", "purposes", "curve", "rules", "caps" or "certificate".
    """
    return slots.require(adata, table, key, f"tl.panel (tables: {TABLES})").copy()
