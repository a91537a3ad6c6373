"""The markers of every group, and why each is one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smash_gpu import pl
from smash_gpu.annotated import slots
from smash_gpu.report._elements import (
    Chapter,
    Column,
    Html,
    bar,
    chapter,
    count,
    element,
    html,
    join,
    number,
    paragraph,
    percent,
    table,
)
from smash_gpu.report._figures import figure
from smash_gpu.report._results import Results
from smash_gpu.report._scores import score
from smash_gpu.selection.ranking import DOWN

GENES_IN_A_FIGURE = 80


def markers_section(results: Results) -> Chapter:
    """Figures, and a row a marker."""
    drawn = _figures(results) if results.figures and len(results.markers) else ""
    words = paragraph(
        f"Score: {score(results.recorded('importance'))}. Fractions are shares of cells that express the gene, "
        f"means are of {_values(results)}. The rest are all other cells",
        " of the broad group" if "within" in results.markers else "", ". ",
        "The nearest other group is the one with the highest mean of the gene, and the lowest where the gene is "
        "lower in its group.",
    )  # fmt: skip
    return chapter("Markers", "markers", words, _without(results), drawn, _table(results))


def _without(results: Results) -> Html:
    served = set(results.markers["group"].astype(str))
    left = [group for group in results.groups if group not in served]
    if not left:
        return Html("")
    return paragraph(
        f"No gene may be a marker of {', '.join(left)}: the sample rule or positive_only forbids them all."
    )


def _values(results: Results) -> str:
    counts = results.source.get("normalize", True)
    return "log1p of counts scaled to 10,000 a cell" if counts else "the log-normalised values"


def _table(results: Results) -> Html:
    markers = results.markers
    best = markers.groupby("group", observed=True)["score"].transform("max").to_numpy()
    columns = [
        Column("gene", [element("i", name) for name in markers["name"]], "name"),
        Column("rank", [count(n) for n in markers["rank"]], "number"),
        Column("score", [bar(number(s), s / b) for s, b in zip(markers["score"], best, strict=True)], "number",
               score(results.recorded("importance"))),
        Column("in the group", [_direction(d) for d in markers["direction"]], "text", "mean against the rest"),
        Column("cells in", [bar(percent(f), f) for f in markers["fraction_in"]], "number",
               "cells of the group that express the gene"),
        Column("cells out", [bar(percent(f), f) for f in markers["fraction_out"]], "number",
               "cells of the rest that express the gene"),
        Column("mean in", [f"{m:.2f}" for m in markers["mean_in"]], "number"),
        Column("mean out", [f"{m:.2f}" for m in markers["mean_out"]], "number"),
    ]  # fmt: skip
    if "samples" in markers:
        columns.append(Column("samples", [percent(s) for s in markers["samples"]], "number",
                              "samples with enough cells of the group that show the gene in it"))  # fmt: skip
    columns += [
        Column("nearest other group", _nearest(results), "name"),
        Column("also a marker of", _also(markers), "name"),
    ]
    return table("Markers of each group, and why each is one", columns, headings=_headings(results))


def _headings(results: Results) -> list[tuple[int, Html]]:
    """A line above the markers of each group."""
    groups = results.markers["group"].astype(str).tolist()
    starts = [i for i, group in enumerate(groups) if i == 0 or groups[i - 1] != group]
    sizes = dict(zip(map(str, results.data.groups), results.data.stats.cells, strict=True))
    return [
        (i, join([groups[i], element("small", f" {sizes[groups[i]]:,} cells") if groups[i] in sizes else ""]))
        for i in starts
    ]


def _direction(direction: str) -> Html:
    return element("span", "↓ lower" if direction == DOWN else "↑ higher", class_=str(direction))


def _nearest(results: Results) -> list[Html]:
    """For each marker the other group with the highest mean, of a gene that is low in its group with the lowest."""
    markers = results.markers
    mean = slots.profile(results.adata, "mean", results.key)
    columns = results.adata.var_names.astype(str).get_indexer(markers["name"])
    broad = (
        dict(zip(markers["group"].astype(str), markers["within"].astype(str), strict=True))
        if "within" in markers
        else {}
    )
    said = []
    for group, direction, column in zip(markers["group"].astype(str), markers["direction"], columns, strict=True):
        others = [i for i, name in enumerate(results.groups) if name != group and broad.get(name) == broad.get(group)]
        values = mean[others, column]
        nearest = others[int(np.argmin(values) if direction == DOWN else np.argmax(values))] if others else None
        said.append(html("–") if nearest is None else _with_mean(results.groups[nearest], mean[nearest, column]))
    return said


def _with_mean(group: str, mean: float) -> Html:
    return join([group, element("small", f" {mean:.2f}")])


def _also(markers: pd.DataFrame) -> list[str]:
    served = markers.groupby("name", sort=False)["group"].agg(lambda groups: [str(g) for g in groups])
    rows = zip(markers["name"], markers["group"].astype(str), strict=True)
    return [", ".join(other for other in served[name] if other != group) for name, group in rows]


def _figures(results: Results) -> Html:
    adata, key = results.adata, results.key
    per_group = max(1, GENES_IN_A_FIGURE // len(results.groups))
    n_top = min(per_group, int(results.markers["rank"].max()))
    which = f"the first {n_top} markers" if n_top > 1 else "the first marker"
    told = "The numbers of the framed fields are in the table of markers."
    alt = f"of {which} of each of {len(results.groups)} groups. {told}"
    return join(
        [
            figure(
                pl.dotplot(adata, n_top=n_top, key=key),
                f"{which.capitalize()} of each group in all groups. The size of a dot is the share of cells that "
                "express the gene, the colour its mean expression, scaled from 0 to 1 gene by gene. Frames: the "
                "group's own markers.",
                f"Dot plot {alt}",
            ),
            figure(
                pl.importance(adata, key=key),
                "The genes with the largest importance, summed over the groups. Beside each bar: the group with the "
                "largest part of it.",
                "Stacked bars of the most important genes, a part a group.",
            ),
        ]
    )
