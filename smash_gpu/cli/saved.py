"""A result in a file of its own: what `tl.panel` filled in, with labels and genes but no matrix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULT = "panel.h5ad"


def save_result(adata: Any, path: Path, columns: Iterable[str | None]) -> None:
    """Write ``.uns["smash_panel"]``, the columns of ``obs`` that it was made from, and ``var``, as an h5ad file.

    `smash-gpu export` and ``smash_gpu.get`` read it as they read the data themselves.
    """
    import pandas as pd
    from anndata import AnnData

    from smash_gpu.annotated import slots
    from smash_gpu.annotated.columns import column

    named = [name for name in dict.fromkeys(columns) if name is not None]
    labels = {name: column(adata.obs, name, "obs").astype("category") for name in named}
    var = {str(name): _writable(values) for name, values in adata.var.items()}
    result = AnnData(
        obs=pd.DataFrame(labels, index=adata.obs_names), var=pd.DataFrame(var, index=adata.var_names.astype(str))
    )
    result.uns[slots.PANEL] = adata.uns[slots.PANEL]
    result.write_h5ad(path)


def _writable(values: Any) -> Any:
    """Text where a column may hold anything, since h5ad holds columns of one type only."""
    return values.map(str, na_action="ignore").astype("category") if values.dtype == object else values
