"""Names and columns of text as the installed pandas makes them.

anndata 0.13 writes arrays of strings that anndata 0.12 reads as pandas' extension type, which it then refuses to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import anndata as ad
import pandas as pd


@singledispatch
def make_writable(element: Any) -> None:
    """Change text in tables, also in those inside a mapping or annotated cells, to the type that pandas gives text."""


@make_writable.register
def _(element: ad.AnnData) -> None:
    tables = [element.obs, element.var, *([] if element.raw is None else [element.raw.var])]
    for part in (*tables, element.uns):
        make_writable(part)


@make_writable.register
def _(element: Mapping) -> None:
    for value in element.values():
        make_writable(value)


@make_writable.register
def _(element: pd.DataFrame) -> None:
    usual = pd.Index(["text"]).dtype
    if element.index.dtype == "string" != usual:
        element.index = element.index.astype(usual)
    for name in element.columns[element.dtypes == "string"]:
        if element[name].dtype != usual:
            plain = element[name].astype(usual)
            element[name] = plain.astype("category") if plain.isna().any() else plain  # object cannot lack a value
