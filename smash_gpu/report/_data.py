"""The cells, and what the filters did to the genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smash_gpu.annotated import slots
from smash_gpu.report._results import Results


@dataclass(frozen=True)
class Data:
    """Values of the chapter "Data".

    Attributes
    ----------
    n_cells, n_left_out, n_genes
        Cells used, cells of the annotated data that were not, and genes.
    place
        Where the values are: "X", ".raw" or a layer.
    is_counts
        Whether they are raw counts.
    detected
        Share of the values that are not zero.
    named
        Label, number of different values and column, of samples and batches, if there are any.
    groups
        Per class: ``name``, ``cells``, ``share`` of all cells, ``length`` of its bar, mean ``genes`` and ``counts``
        per cell.
    """

    n_cells: int
    n_left_out: int
    n_genes: int
    place: str
    is_counts: bool
    detected: float
    named: list[tuple[str, int, str]]
    groups: list[dict[str, Any]]


def describe_data(results: Results) -> Data:
    """How many cells and genes there are, and where they were read."""
    data, source = results.data, results.source
    columns = (("Samples", "sample_key", data.sample), ("Batches", "batch_key", data.batch))
    return Data(
        n_cells=len(data.cells),
        n_left_out=results.adata.n_obs - len(data.cells),
        n_genes=len(data.names),
        place=_place(source),
        is_counts=source.get("normalize") is not False,
        detected=data.stats.detected.sum() / (len(data.cells) * len(data.names)),
        named=[
            (label, len(values[data.cells].unique()), source[key])
            for label, key, values in columns
            if values is not None
        ],
        groups=_groups(results),
    )


def _place(source: dict[str, Any]) -> str:
    return f"layer {source['layer']}" if source.get("layer") else ".raw" if source.get("use_raw") else "X"


def _groups(results: Results) -> list[dict[str, Any]]:
    stats = results.data.stats
    cells = stats.cells
    genes, counts = (values.sum(axis=1) / cells for values in (stats.detected, stats.counts))
    keys = ("name", "cells", "share", "length", "genes", "counts")
    rows = zip(results.data.groups, cells, cells / cells.sum(), cells / cells.max(), genes, counts, strict=True)
    return [dict(zip(keys, row, strict=True)) for row in rows]


def filter_rules(results: Results) -> list[dict[str, Any]]:
    """What each rule of the filters removed: ``rule``, ``matched``, ``removed``, ``left``, and ``within`` if any."""
    return slots.require(results.adata, "filters", results.key, "tl.smash").to_dict("records")
