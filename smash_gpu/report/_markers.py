"""The markers of every class, and the evidence for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.annotated import of_models, slots
from smash_gpu.report._results import Results
from smash_gpu.report._scores import score
from smash_gpu.selection import several
from smash_gpu.selection.ranking import DOWN

GENES_IN_A_FIGURE = 60


@dataclass(frozen=True)
class Markers:
    """Values of the chapter "Markers".

    Attributes
    ----------
    model, score
        Name of the model, and what its score is, in words.
    models
        Names of the models of a consensus; empty for one model.
    without
        Classes that have no marker.
    rows
        Per marker: the columns of `get.markers`, ``is_down``, ``length`` of the bar of its score, ``nearest`` (another
        class and its mean, or None) and ``also`` (other classes that it is a marker of).
    sizes
        Cells per class.
    n_shown
        Markers per class in the dot plot.
    """

    model: str
    models: list[str]
    score: str
    without: list[str]
    rows: list[dict[str, Any]]
    sizes: dict[str, int]
    n_shown: int


def describe_markers(results: Results) -> Markers:
    """The table of markers, with what a reader wants to know about each."""
    table = results.markers.astype({"group": str})
    table["is_down"] = table["direction"] == DOWN
    table["length"] = table["score"] / table.groupby("group")["score"].transform("max")
    served = table.groupby("name", sort=False)["group"].agg(list)
    rows = table.to_dict("records")
    for row, nearest in zip(rows, _nearest(results, rows), strict=True):
        row |= {"nearest": nearest, "also": [group for group in served[row["name"]] if group != row["group"]]}
    return Markers(
        model=several.in_words(results.recorded("importance").get("model", "")),
        models=of_models.names(results.adata, results.key) if "agreement" in table else [],
        score=score(results.recorded("importance")),
        without=[group for group in results.groups if group not in set(table["group"])],
        rows=rows,
        sizes=dict(zip(map(str, results.data.groups), results.data.stats.cells, strict=True)),
        n_shown=min(max(1, GENES_IN_A_FIGURE // len(results.groups)), int(table["rank"].max()) if rows else 0),
    )


def _nearest(results: Results, rows: list[dict[str, Any]]) -> list[tuple[str, float] | None]:
    """For each marker the other class with the highest mean; with the lowest if the gene is low in its own class."""
    mean = slots.profile(results.adata, "mean", results.key)
    columns = results.adata.var_names.astype(str).get_indexer([row["name"] for row in rows])
    broad = {row["group"]: row.get("within") for row in rows}
    found = []
    for row, column in zip(rows, columns, strict=True):
        group = row["group"]
        others = [i for i, name in enumerate(results.groups) if name != group and broad.get(name) == broad[group]]
        values = mean[others, column]
        known = others and column >= 0  # a marker may be gone from the genes since, as a warning says
        nearest = others[int(np.argmin(values) if row["is_down"] else np.argmax(values))] if known else None
        found.append(None if nearest is None else (results.groups[nearest], float(mean[nearest, column])))
    return found
