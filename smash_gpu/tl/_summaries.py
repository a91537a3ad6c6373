"""What a call found, in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu.evaluation.summary import is_intact
from smash_gpu.evaluation.transfer import relative


def of_markers(markers: pd.DataFrame, n_candidates: int) -> str:
    """How many markers `tl.smash` found."""
    n_groups = markers["group"].nunique()
    return (
        f"Found {len(markers):,} markers of {n_groups:,} classes among {n_candidates:,} candidate genes: get.markers."
    )


def of_panel(tables: Mapping[str, pd.DataFrame]) -> str:
    """How good the panel is."""
    curve, resolved = tables["curve"].iloc[-1], tables["pairs"]["resolved"]
    if "resolution" not in curve:
        return (
            f"Designed a panel of {len(tables['genes']):,} genes without classes: {curve['variation']:.1%} of the "
            f"variation explained, no panel of this size more than {curve['variation_bound']:.1%}: get.panel_table."
        )
    bound = math.floor(1000 * curve["of_bound"] + 1e-9) / 1000  # a bound is not rounded up
    return (
        f"Designed a panel of {len(tables['genes']):,} genes: resolution {curve['resolution']:.1%} of what all genes "
        f"give, at least {bound:.1%} of the best panel of this size; {(resolved >= 0.5).sum():,} of {len(resolved):,} "
        "pairs of classes are resolved by half: get.panel_table."
    )


def of_panel_tuning(table: pd.DataFrame) -> str:
    """The settings that cross-validation chose, and what they gain."""
    best, default = table[table["chosen"]].iloc[0], table.iloc[0]
    tau = "by default" if np.isnan(best["tau"]) else f"{best['tau']:g}"
    return (
        f"Tuned by cross-validation: tau {tau}, prior {best['prior']:g}, variation {best['variation']:g}; "
        f"{best['misclassification']:.1%} of the held-out cells are misclassified, "
        f"{default['misclassification']:.1%} with the first setting."
    )


def of_evaluation(table: pd.DataFrame) -> str:
    """Macro F1 of every list with its largest size and the first classifier, and of its random panels."""
    rows = table[is_intact(table) & (table["classifier"] == table["classifier"].iloc[0])]
    rows = rows[rows["n_genes"] == rows.groupby("genes")["n_genes"].transform("max")]
    chosen, random = (
        rows[rows["random"].gt(0) == is_random].groupby("genes", sort=False)["f1_macro"].mean()
        for is_random in (False, True)
    )
    said = [f"{name} {value:.3f}{_against(random.get(name))}" for name, value in chosen.items()]
    n = table["split"].nunique()
    return f"Judged {len(chosen)} {_lists(chosen)} on {n} splits; macro F1: {', '.join(said)}: get.comparison."


def of_stability(overlap: pd.DataFrame, n_genes: int) -> str:
    """How many genes two halves share."""
    shared, chance = overlap["shared"].mean(), overlap["shared_by_chance"].mean()
    return f"Two halves share {shared:.1f} of {n_genes} genes (mean), {chance:.1f} by chance: get.stability."


def of_transfer(cases: pd.DataFrame) -> str:
    """Balanced accuracy of every list with its largest size and the first classifier, and of its random panels."""
    table = relative(cases)
    table = table[table["classifier"] == table["classifier"].iloc[0]]
    last = table[table["n_genes"] == table.groupby("genes")["n_genes"].transform("max")]
    said = [f"{row.genes} {row.balanced_accuracy:.3f}{_against(row.random)}" for row in last.itertuples()]
    return f"Named the cells of the tissue; balanced accuracy: {', '.join(said)}: get.transfer."


def of_validation(checks: pd.DataFrame) -> str:
    """How many checks passed, and which did not."""
    by_verdict = checks.groupby("verdict", sort=False)["check"].agg(list)
    said = [f"{len(by_verdict.get('pass', []))} pass"]
    said += [f"{len(by_verdict[v])} {v} ({', '.join(by_verdict[v])})" for v in by_verdict.index if v != "pass"]
    return f"{len(checks)} checks: {', '.join(said)}: get.validation."


def _against(random: float | None) -> str:
    return "" if random is None or np.isnan(random) else f" (random panels {random:.3f})"


def _lists(lists: pd.Series) -> str:
    return "list" if len(lists) == 1 else "lists"
