"""Summaries of an evaluation: intervals over splits, differences between lists, results per group and per pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation.judging import INTACT
from smash_gpu.evaluation.metrics import LOWEST, METRICS, PER_GROUP, STRUCTURE, counts_per_group, per_group

CONDITION = ("thin", "dropout", "gene_bias", "background")
CASE = ("genes", "is_random", "classifier", "n_genes", *CONDITION)
STATISTICS = ("mean", "std", "min", "max", "low", "high")
COMPARED = [*CASE, "n_used", "metric", "n_splits", *STATISTICS]
LEVEL = 0.95


def interval(values: np.ndarray, test_to_train: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Student's t interval for the mean over splits, corrected for cells that the splits share.

    Splits of the same cells are not independent, so the variance of their mean is not ``s²/J`` but about
    ``(1/J + n_test/n_train) s²`` (Nadeau & Bengio 2003, equation 7; for repeated folds Bouckaert & Frank 2004), with
    J − 1 degrees of freedom. It covers the variation from drawing other cells (with folds by sample: other samples)
    from the same population, including the choice of genes if that was repeated in every split. It does not cover other
    tissues, platforms or labels.

    Parameters
    ----------
    values
        One value per split; NaN is ignored.
    test_to_train
        Number of held-out cells per training cell.

    Returns
    -------
    Both ends; NaN for fewer than two splits.
    """
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return np.nan, np.nan
    half = _half_width(values.std(ddof=1), len(values), test_to_train, level)
    return values.mean() - half, values.mean() + half


def _half_width(std: float, n_splits: int, test_to_train: float, level: float) -> float:
    return _quantile(level, n_splits - 1) * std * np.sqrt(1 / n_splits + test_to_train)


@cache
def _quantile(level: float, freedom: int) -> float:
    """The end of the interval of Student's t that holds ``level``."""
    from scipy.stats import t

    return t.ppf((1 + level) / 2, freedom)


def described(values: np.ndarray, test_to_train: float, *, level: float, bounds: tuple[float, float]) -> dict:
    """`STATISTICS` of one value per split, ignoring NaN; the interval is clipped to ``bounds``."""
    seen = values[~np.isnan(values)]
    if not len(seen):
        return dict.fromkeys(STATISTICS, np.nan)
    low, high = np.clip(interval(values, test_to_train, level=level), *bounds)
    spread = seen.std(ddof=1) if len(seen) > 1 else np.nan
    return dict(zip(STATISTICS, (seen.mean(), spread, seen.min(), seen.max(), low, high), strict=True))


def pooled(part: np.ndarray, whole: np.ndarray, test_to_train: float, *, level: float) -> tuple[float, float, float]:
    """Spread over the splits of the ratio of two sums, Σ part / Σ whole, and both ends of its interval.

    A split weighs as much as it has cells: the residuals part − ratio · whole, by the mean of whole, take the place of
    the deviations of `interval` (the linearised variance of a ratio; Cochran, Sampling Techniques 1977, section 6.4).
    Where all splits have as many cells, both are equal.

    Parameters
    ----------
    part, whole
        Numbers of cells in each split; splits without any in ``whole`` say nothing.

    Returns
    -------
    Three NaN for fewer than two splits.
    """
    part, whole = part[whole > 0], whole[whole > 0]
    if len(whole) < 2:
        return np.nan, np.nan, np.nan
    ratio = part.sum() / whole.sum()
    std = np.sqrt((((part - ratio * whole) / whole.mean()) ** 2).sum() / (len(whole) - 1))
    half = _half_width(std, len(whole), test_to_train, level)
    return std, max(ratio - half, 0.0), min(ratio + half, 1.0)


def metrics_in(table: pd.DataFrame) -> tuple[str, ...]:
    """The metrics that were computed."""
    return (*METRICS, *(name for name in STRUCTURE if name in table))


def is_intact(table: pd.DataFrame) -> pd.Series:
    """Which rows are of cells as they were measured."""
    return (table[list(CONDITION)] == [getattr(INTACT, name) for name in CONDITION]).all(axis=1)


def by_split(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``is_random``; the random panels of each list and split become one row, their mean."""
    table = table.assign(is_random=table["random"] > 0)
    return table.groupby([*CASE, "split"], sort=False, as_index=False).mean().drop(columns="random")


def comparison(table: pd.DataFrame, metrics: Collection[str] | None = None, *, level: float = LEVEL) -> pd.DataFrame:
    """One row per case (`CASE`) and metric, with `STATISTICS` over the splits.

    Parameters
    ----------
    metrics
        Names; those that were not computed have no rows. None: all.
    """
    rows = []
    for case, part in by_split(table).groupby(list(CASE), sort=False):
        for metric in _wanted(table, metrics):
            bounds = (LOWEST[metric], 1.0)
            found = described(part[metric].to_numpy(), _ratio(part), level=level, bounds=bounds)
            rows.append(_row_of(case, part, metric) | found)
    return pd.DataFrame(rows, columns=COMPARED)


def differences(
    table: pd.DataFrame, reference: str, metrics: Collection[str] | None = None, *, level: float = LEVEL
) -> pd.DataFrame:
    """Each list and its random panels minus the list ``reference``, split by split; columns as in `comparison`."""
    splits = by_split(table)
    shared = ["classifier", *CONDITION, "split"]
    if splits.groupby("genes")["n_genes"].nunique().max() > 1:
        shared.append("n_genes")  # else each list as a whole
    base = splits[(splits["genes"] == reference) & ~splits["is_random"]][[*shared, *metrics_in(table)]]
    pairs = splits.merge(base, on=shared, suffixes=("", " of the reference"))
    pairs = pairs[(pairs["genes"] != reference) | pairs["is_random"]]
    rows = []
    for case, part in pairs.groupby(list(CASE), sort=False):
        for metric in _wanted(table, metrics):
            change = (part[metric] - part[f"{metric} of the reference"]).to_numpy()
            found = described(change, _ratio(part), level=level, bounds=(-np.inf, np.inf))
            rows.append(_row_of(case, part, metric) | found)
    return pd.DataFrame(rows, columns=COMPARED).assign(reference=reference)


def _wanted(table: pd.DataFrame, metrics: Collection[str] | None) -> list[str]:
    return [name for name in metrics_in(table) if metrics is None or name in metrics]


def _row_of(case: tuple, part: pd.DataFrame, metric: str) -> dict[str, Any]:
    n_used = round(part["n_used"].mean())
    return dict(zip(CASE, case, strict=True)) | {"n_used": n_used, "metric": metric, "n_splits": len(part)}


def groups(table: pd.DataFrame, confusions: np.ndarray, names: list[str], *, level: float = LEVEL) -> pd.DataFrame:
    """Recall, precision and F1 of every group in one case; one row per group and metric.

    The value is that of all held-out cells together, so it is that of the summed confusion matrix. The rest describes
    the splits; those without cells of a group are ignored for that group, and a group without cells is NaN.
    """
    folds = np.stack([confusions[rows].sum(axis=0) for rows in table.groupby("split", sort=False).indices.values()])
    total = folds.sum(axis=0)
    counts = zip(PER_GROUP, per_group(total), per_group(folds), *counts_per_group(folds), strict=True)
    rows = []
    for metric, value, by_fold, part, whole in counts:
        for number, name in enumerate(names):
            found = dict.fromkeys(STATISTICS, np.nan) | {"mean": value[number]}
            if seen := by_fold[~np.isnan(by_fold[:, number]), number].tolist():
                std, low, high = pooled(part[:, number], whole[:, number], _ratio(table), level=level)
                found |= {"std": std, "min": min(seen), "max": max(seen), "low": low, "high": high}
            rows.append({"group": name, "metric": metric, "cells": int(total[number].sum())} | found)
    order = pd.DataFrame(rows)
    order["group"] = pd.Categorical(order["group"], names)
    return order.sort_values("group", kind="stable", ignore_index=True)


def unresolved_pairs(confusion: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Pairs of groups by how often they are confused, worst first; pairs that are never confused are left out, and so
    are pairs with a group that was not judged.

    ``confusion`` of a pair is the mean of two shares: held-out cells of the first group that are predicted as the
    second, and the reverse, so a rare group counts as much as a frequent one. Ties are ordered by name.
    """
    size = confusion.sum(axis=1)
    share = confusion / np.maximum(size[:, None], 1)
    first, second = np.triu_indices(len(names), 1)
    pairs = pd.DataFrame(
        {
            "group": np.array(names, dtype=object)[first],
            "other": np.array(names, dtype=object)[second],
            "confusion": (share[first, second] + share[second, first]) / 2,
            "group_as_other": share[first, second],
            "other_as_group": share[second, first],
            "cells": confusion[first, second] + confusion[second, first],
        }
    )
    pairs = pairs[(pairs["cells"] > 0) & (size[first] > 0) & (size[second] > 0)]
    return pairs.sort_values(["confusion", "group", "other"], ascending=[False, True, True], ignore_index=True)


def one_case(table: pd.DataFrame, wanted: Mapping[str, Any]) -> np.ndarray:
    """Mask of the rows of one case; None in ``wanted`` means the default: first list, all its genes, and so on.

    Raises
    ------
    KeyError
        If there is no such case; the message lists the existing ones.
    """
    mask = (table["random"] > 0) if wanted.get("is_random") else (table["random"] == 0)
    defaults = {"genes": "first", "classifier": "first", "n_genes": "max", "thin": "max"}
    defaults |= dict.fromkeys(CONDITION[1:], "min")
    for column, default in defaults.items():
        there = table.loc[mask, column]
        if not len(there):
            raise NotFoundError("no random panels were evaluated; pass n_random= to tl.evaluate.")
        value = wanted.get(column)
        if value is not None and value not in set(there):
            known = ", ".join(map(str, there.unique()))
            raise NotFoundError(f"the evaluation has no {column}={value!r}; available: {known}.")
        if value is None:
            value = there.iloc[0] if default == "first" else getattr(there, default)()
        mask &= table[column] == value
    return mask.to_numpy()


def _ratio(part: pd.DataFrame) -> float:
    return float((part["n_test"] / part["n_train"]).mean())
