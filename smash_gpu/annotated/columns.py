"""Columns of annotation by name; those of genes as masks and numbers, however files and joins left them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.errors import NotFoundError, warn
from smash_gpu.runtime.words import did_you_mean, join_names

# A bool column becomes nullable or object with missing values when data sets are joined, and text in some files.
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0} | dict.fromkeys(
    ("nan", "na", "<na>", "none", ""), np.nan
)
SEVERAL = (list, tuple, set, frozenset, dict, np.ndarray)


def column(frame: Any, name: str, where: str) -> pd.Series:
    """A column of ``obs`` or ``var``; of a lazy one (`anndata.experimental.read_lazy`) only this is read.

    Raises
    ------
    NotFoundError
        If there is none; the message names near matches.
    ValueError
        If there are several, or it does not hold one value per cell.
    """
    names = list(frame.columns)
    if name not in names:
        near = did_you_mean(name, names)
        raise NotFoundError(f"adata.{where} has no column {name!r}.{near} Columns: {join_names(names)}.")
    if names.count(name) > 1:
        raise ValueError(
            f"adata.{where} has {names.count(name)} columns {name!r}. Keep the first of each: adata.{where} = "
            f"adata.{where}.loc[:, ~adata.{where}.columns.duplicated()]"
        )
    values = frame[name] if isinstance(frame, pd.DataFrame) else frame[[name]].to_memory()[name]
    several = next((value for value in _objects(values) if isinstance(value, SEVERAL)), None)
    if several is not None:
        at = f"adata.{where}[{name!r}]"
        raise ValueError(
            f"{at} holds values of type {type(several).__name__}, such as {several!r}; text or numbers are needed, one "
            f"per {'cell' if where == 'obs' else 'gene'}. To take the first of each: {at} = {at}.str[0]"
        )
    return values


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


def _objects(values: pd.Series) -> Any:
    """Values that may be of any type, each once if they are categories; empty where pandas knows one type for all."""
    found = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    is_mixed = found.dtype == object and pd.api.types.infer_dtype(found).startswith("mixed")
    return found if is_mixed else ()
