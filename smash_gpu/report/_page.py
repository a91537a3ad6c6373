"""The page."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.report._data import data_section, filter_section
from smash_gpu.report._elements import Html, count, definitions, element, interval, join, paragraph
from smash_gpu.report._evaluation import evaluation_section
from smash_gpu.report._markers import markers_section
from smash_gpu.report._panel import designed_section, panel_section
from smash_gpu.report._provenance import provenance_section
from smash_gpu.report._results import Results

# nothing is fetched and no script runs, whatever stands in the page
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(
    adata: AnnData, path: str | Path, *, title: str | None = None, figures: bool = True, key: str = slots.KEY
) -> None:
    """Write what `tl.smash` and `tl.evaluate` found to one HTML file that needs nothing else, for people to read.

    Data and filters, the markers of every group and why each is one, the panel, metrics of held-out cells with
    intervals, random panels, the learning curve, groups and pairs, parameters, versions, and a fingerprint of the data.
    It reads the slots and the matrix and computes nothing anew; a `tl.panel` gets a chapter as well.

    Parameters
    ----------
    path
        Of the HTML file.
    title
        Heading; None for one that names the column of groups.
    figures
        Whether to draw; False needs no matplotlib.
    key
        Name of the slots.

    Raises
    ------
    KeyError
        If `tl.smash` has not run.
    """
    Path(path).write_text(page(adata, title=title, figures=figures, key=key), encoding="utf-8")


def page(adata: AnnData, *, title: str | None = None, figures: bool = True, key: str = slots.KEY) -> str:
    """The text that `write` writes."""
    slots.require(adata, "markers", key, "tl.smash")
    results = Results(adata, key, figures)
    title = title or f"Marker genes of {results.source['groupby']}"
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    chapters = [
        chapter
        for chapter in (
            data_section(results), filter_section(results), markers_section(results), panel_section(results),
            evaluation_section(results), designed_section(results), provenance_section(results, date),
        )
        if chapter
    ]  # fmt: skip
    contents = element("nav", join((chapter.link for chapter in chapters), " "), aria_label="Contents")
    body = element("main", _header(results, title, date), contents, *(c.markup for c in chapters))
    return f"<!DOCTYPE html>\n{element('html', _head(title), element('body', body), lang='en')}\n"


def _head(title: str) -> Html:
    style = files("smash_gpu.report").joinpath("style.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"smash-gpu {version('smash-gpu')}"),
        element("title", title),
        element("style", Html(style)),
    )


def _header(results: Results, title: str, date: str) -> Html:
    """The heading, and what a reader in a hurry wants to know."""
    markers = results.markers
    facts = [
        ("cells", count(len(results.data.cells))),
        ("genes", count(len(results.data.names))),
        ("groups", count(len(results.groups))),
        ("markers", count(markers["name"].nunique())),
    ]
    if results.is_evaluated:
        facts += _misclassified(results)
    by = f"smash-gpu {version('smash-gpu')}, model {results.recorded('importance').get('model')}, {date}"
    return element("header", element("h1", title), paragraph(by, class_="by"), definitions(facts, class_="key"))


def _misclassified(results: Results) -> list[tuple[str, Html]]:
    rows = results.main[results.main["metric"] == "misclassification"]
    first = rows.iloc[0]
    facts = [(f"misclassification, {first['n_genes']} genes", interval(first["mean"], first["low"], first["high"]))]
    is_random = rows[rows["is_random"] & (rows["genes"] == first["genes"])]
    if len(is_random):
        facts.append(("the same for random panels", interval(*is_random[["mean", "low", "high"]].iloc[0])))
    return facts
