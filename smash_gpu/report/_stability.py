"""How much the panel depends on which cells were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smash_gpu import get
from smash_gpu.report._results import Results

ROWS = 60
SUBSTITUTES = 3  # of each gene


@dataclass(frozen=True)
class Stability:
    """Values of the chapter "Stability".

    Attributes
    ----------
    how
        Options of `tl.stability`.
    shared, by_chance
        Genes that two panels from halves share, and two random ones: mean and range.
    rows, n_rows
        Per gene the columns of `get.stability`, and ``substitutes`` in words; and how many genes there are in all.
    """

    how: dict[str, Any]
    shared: dict[str, float]
    by_chance: dict[str, float]
    rows: list[dict[str, Any]]
    n_rows: int


def describe_stability(results: Results) -> Stability | None:
    """What the last `tl.stability` found; None if it has not run."""
    adata, key = results.adata, results.key
    if "stability" not in adata.uns.get(key, {}):
        return None
    table, overlap = get.stability(adata, key=key), get.panel_overlap(adata, key=key)
    found = get.substitutes(adata, key=key)
    others = found.groupby(found["name"].astype(str), sort=False)["substitute"].agg(list)
    rows = table.head(ROWS).astype({"name": str}).to_dict("records")
    for row in rows:
        row["substitutes"] = ", ".join(map(str, others.get(row["name"], [])[:SUBSTITUTES]))
    shared, by_chance = (overlap.loc[name].to_dict() for name in ("shared", "shared_by_chance"))
    return Stability(results.recorded("stability"), shared, by_chance, rows, len(table))
