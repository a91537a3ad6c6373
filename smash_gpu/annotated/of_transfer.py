"""Slots of a transfer, in the tissue: ``obs``, ``obsm`` and ``uns`` by the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError

NEEDED = "tl.transfer"


def true_column(key: str) -> str:
    """The column of ``obs`` with the classes to compare with."""
    return f"{key}_true"


def write(
    tissue: AnnData,
    found: Any,
    *,
    classes: np.ndarray,
    true: np.ndarray,
    panels: pd.DataFrame,
    not_judged: Sequence[str],
    options: Mapping[str, Any],
    key: str,
) -> None:
    """Fill all slots, see `tl.transfer`; ``found`` is a `smash_gpu.evaluation.transfer.Transfer`."""
    table = found.table
    shown = table[(table["random"] == 0) & (table["genes"] == table["genes"].iloc[0])]
    shown = shown[shown["classifier"] == shown["classifier"].iloc[0]]
    tissue.obs[key] = _named(found.predicted[:, shown.loc[shown["n_genes"].idxmax(), "column"]], classes)
    tissue.obs[true_column(key)] = _named(true, classes)
    tissue.obsm[key] = found.predicted
    tissue.uns[key] = {
        slots.TRANSFERRED: table, "confusion": found.confusions, "classes": classes, "panels": panels,
        "not_judged": np.array(not_judged, dtype=object),
    }  # fmt: skip
    slots.record(tissue, key, "transfer", options)
    slots.note_origin(tissue, key, slots.TRANSFERRED, {}, options["tissue_groupby"])


def predicted(tissue: AnnData, column: int, key: str) -> pd.Categorical:
    """Class of every cell in one case."""
    if key not in tissue.obsm:
        raise NotFoundError(f"adata.obsm holds no {key!r}; run {NEEDED} again.")
    return _named(np.asarray(tissue.obsm[key])[:, column], slots.held(tissue, "classes", key, NEEDED))


def true(tissue: AnnData, key: str) -> pd.Categorical:
    """Class of every cell by its label, missing where it is not judged."""
    if true_column(key) not in tissue.obs:
        raise NotFoundError(f"adata.obs holds no {true_column(key)!r}; run {NEEDED} again.")
    classes = list(map(str, slots.held(tissue, "classes", key, NEEDED)))
    return pd.Categorical(tissue.obs[true_column(key)].astype(object), categories=classes)


def _named(codes: np.ndarray, classes: Any) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [str(name) for name in classes])
