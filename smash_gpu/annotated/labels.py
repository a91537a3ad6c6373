"""A column of ``obs`` as labels of the cells, with errors and warnings that name what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection

import anndata as ad
import numpy as np
import pandas as pd

from smash_gpu.annotated.columns import column
from smash_gpu.errors import warn

MOST_NUMBERS = 100  # different ones that a column of groups may hold
TEXT_FOR_MISSING = {"", "nan", "none", "na", "n/a", "<na>", "nat", "null"}  # in any case


def labels(adata: ad.AnnData, name: str, *, ignored: Collection[str] | None = None) -> pd.Series:
    """A column of ``obs`` as categories that all occur; a warning names those that may stand for missing values.

    Parameters
    ----------
    ignored
        Labels that need no warning, of a step that has the option ``ignore``; None: it has none.

    Raises
    ------
    NotFoundError, ValueError
        As `column`; also if it holds numbers that are no groups.
    """
    values = column(adata.obs, name, "obs")
    at = f"adata.obs[{name!r}]"
    if pd.api.types.is_numeric_dtype(values.dtype) and (n := values.nunique()) > MOST_NUMBERS:
        raise ValueError(
            f"{at} holds {n:,} different numbers, so it seems to be a measurement, not a column of labels. If each "
            f"number is a label, make them text: {at} = {at}.astype(str)"
        )
    found = values.astype("category").cat.remove_unused_categories()
    warn_of_text_for_missing(found.cat, name, "label", ignored)
    return found


def warn_of_text_for_missing(
    found: pd.Categorical, name: str, what: str, ignored: Collection[str] | None = None
) -> None:
    """Warn of categories that look like missing values made into text; ``what`` they are, in words."""
    sizes = np.bincount(found.codes[found.codes >= 0], minlength=len(found.categories))
    for label, n_cells in zip(found.categories, sizes, strict=True):
        if isinstance(label, str) and label.strip().lower() in TEXT_FOR_MISSING and label not in (ignored or ()):
            at = f"adata.obs[{name!r}]"
            or_ignore = "" if ignored is None else f". Or pass ignore=[{label!r}]: no gene is chosen to tell them apart"
            warn(
                f"{n_cells:,} cells have the {what} {label!r} in {name!r}: is it a missing value that was made into "
                f"text? To leave these cells out, make it missing: "
                f"{at} = {at}.astype(object).replace({label!r}, None){or_ignore}"
            )
