"""Columns of annotation by name; those of genes as masks and numbers, however files and joins left them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smash_gpu.errors import NotFoundError, warn
from smash_gpu.runtime.words import did_you_mean, join_names

# A bool column becomes nullable or object with missing values when data sets are joined, and text in some files.
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0} | dict.fromkeys(
    ("nan", "na", "<na>", "none", ""), np.nan
)


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


def mask_of(table: pd.DataFrame, name: str, what: str) -> np.ndarray:
    """A column of true and false as a mask; a missing value counts as false, with a warning.

    Parameters
    ----------
    what
        Name of the user's option, for the messages.

    Raises
    ------
    NotFoundError, ValueError
        If the column is missing, or holds anything else.
    """
    values = column(table, name, "var")
    truth, others = _truth(values)
    if others:
        raise ValueError(
            f"{what}: column {name!r} of adata.var must hold True and False, but it holds {join_names(others)}; "
            "make it boolean by a comparison."
        )
    missing = int(np.isnan(truth).sum())
    if missing:
        warn(f"{what}: {missing:,} of {len(truth):,} genes have no value in {name!r} and are left out.")
    return truth == 1


def numbers_of(table: pd.DataFrame, name: str, what: str) -> np.ndarray:
    """A column as float64, true and false as 1 and 0, missing values as NaN.

    Raises
    ------
    NotFoundError, ValueError
        If the column is missing, or not numeric.
    """
    values = column(table, name, "var")
    truth, others = _truth(values)
    if not others:
        return truth
    try:
        return values.astype(object).to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(f"{what}: column {name!r} of adata.var is not numeric; convert it to numbers.") from None


def _truth(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """1, 0 and NaN for true, false and missing, and the values that are none of these."""
    code, found = pd.factorize(values.astype(object), use_na_sentinel=True)
    words = [str(value).strip().lower() for value in found]
    others = [str(value) for value, word in zip(found, words, strict=True) if word not in TRUTH]
    return np.array([*(TRUTH.get(word, np.nan) for word in words), np.nan])[code], others
