"""What is needed to make it again."""

from __future__ import annotations

import platform
from typing import Any

from smash_gpu.annotated import slots
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.report._elements import Chapter, Column, Html, chapter, definitions, element, join, paragraph, table
from smash_gpu.report._results import Results
from smash_gpu.selection.options import STEPS

VERSIONS = "versions"
TURN = ("source", "within", *STEPS, "evaluation")


def provenance_section(results: Results, date: str) -> Chapter:
    """Fingerprint, seed, date, parameters, versions."""
    facts = [
        ("Fingerprint of the data", element("code", _fingerprint(results))),
        ("Seed", str(results.recorded("importance").get("random_state", "–"))),
        ("Written", date),
    ]
    words = paragraph(
        "The fingerprint is a SHA-256 over the number of cells and genes, the gene names, the label of every cell in "
        f"column {results.source['groupby']} and every value that is not zero, in their order. It is the same for "
        "every container that holds the same values, and does not cover cell names, other columns and other layers.",
        class_="note",
    )  # fmt: skip
    parts = definitions(facts, class_="facts"), words, _parameters(results), _versions(results)
    return chapter("Parameters and versions", "parameters", *parts)


def _fingerprint(results: Results) -> str:
    column = results.adata.obs[results.source["groupby"]]
    labels = (None if missing else str(label) for label, missing in zip(column, column.isna(), strict=True))
    return fingerprint(results.data.matrix, results.data.names, labels)


def _parameters(results: Results) -> Html:
    noted = results.adata.uns.get(results.key, {}).get("params", {})
    steps = sorted((step for step in noted if step != VERSIONS), key=_turn)
    rows, starts = [], []
    for step in steps:
        options = slots.recorded(results.adata, results.key, step)
        if options:
            starts.append((len(rows), step.replace("_", " ")))
            rows += [(name, _said(value)) for name, value in sorted(options.items())]
    columns = [Column("parameter", [name for name, _ in rows], "name"), Column("value", [v for _, v in rows], "name")]
    return table("Parameters of every step", columns, headings=starts)


def _turn(step: str) -> tuple[int, str]:
    """In the order of work, whatever order a file gave them."""
    return (TURN.index(step) if step in TURN else len(TURN)), step


def _said(value: Any) -> Any:
    if value is None or value == ():
        return "none" if value == () else "not given"
    if isinstance(value, dict):
        return join([f"{name} = {_said(v)}" for name, v in value.items()], ", ") if value else "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _versions(results: Results) -> Html:
    versions = {
        "python (of this report)": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    versions = dict(sorted(results.recorded(VERSIONS).items())) | versions
    columns = [Column("package", list(versions), "name"), Column("version", [*map(str, versions.values())], "name")]
    return table("Versions that made the results", columns)
