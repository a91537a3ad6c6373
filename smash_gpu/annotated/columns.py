"""Columns of annotation by name."""

from __future__ import annotations

import pandas as pd

from smash_gpu.errors import NotFoundError
from smash_gpu.runtime.words import did_you_mean, join_names


def column(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    """A column of ``adata.obs`` or ``adata.var``; ``where`` is which.

    Raises
    ------
    NotFoundError
        If there is none; the message names near matches.
    """
    if name not in frame.columns:
        raise NotFoundError(
            f"adata.{where} has no column {name!r}." + did_you_mean(name, frame) + f" Columns: {join_names(frame)}."
        )
    return frame[name]
