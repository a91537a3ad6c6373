"""What the numbers of a platform mean for a request: limits, except where the user gives other limits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.errors import NotFoundError
from smash_gpu.panel.platforms import (
    LENGTH,
    LENGTH_KEY,
    PER_MILLION,
    Q99,
    QUANTITIES,
    Number,
    Platform,
    range_in_words,
)
from smash_gpu.panel.request import ANY, Request
from smash_gpu.panel.result import Design
from smash_gpu.runtime.words import did_you_mean, join_names

RARE = 0.01  # of the cells: below it a class alone does not reach a 99 % quantile
OPEN = {  # what a platform should say, and what to give where it does not
    "n_genes": "no public limit on the number of genes; give n_genes=",
    LENGTH: "no public limit on transcript length; give limits={'transcript_length': (low, None)}",
    Q99: "no public limit on expression; give max_counts= or limits=",
    "max_transcripts": "no public limit on transcripts per cell; give max_transcripts=",
}
COLUMNS = ["quantity", "what", "low", "high", "used", "source", "url"]
NOT_APPLIED = "not applied: "
IN_COUNTS = (Q99, PER_MILLION, "mean_counts", "max_counts", "max_transcripts", "probe_sets")


def fitted(
    platform: Platform | None,
    request: Request,
    columns: Collection[str],
    *,
    length_key: str | None = None,
    why_no_counts: str = "",
) -> tuple[Request, pd.DataFrame]:
    """The request with the limits that the user left open, and what became of each number of the platform.

    Parameters
    ----------
    columns
        Of the annotation of the genes, and those that were computed.
    length_key
        Column with the length of transcripts; None: `LENGTH_KEY` where it is there.
    why_no_counts
        As in `Known`.

    Raises
    ------
    NotFoundError
        If there is no column ``length_key``.
    """
    if length_key is not None and length_key not in columns:
        near = did_you_mean(length_key, columns)
        raise NotFoundError(
            f"length_key: adata.var has no column {length_key!r}.{near} Columns: {join_names(columns)}."
        )
    if platform is None:
        return request, pd.DataFrame(columns=COLUMNS).astype({"low": float, "high": float})
    column = length_key or LENGTH_KEY
    rows = []
    for key, number in platform.numbers.items():
        if key in IN_COUNTS and why_no_counts:
            used = f"{NOT_APPLIED}it is in counts, but {why_no_counts}"
        elif key == LENGTH and column not in columns:
            used = f"{NOT_APPLIED}adata.var has no column {column!r} with the length of transcripts; give length_key="
        else:
            request, used = _used(request, key, number, column if key == LENGTH else key)
        rows.append((key, QUANTITIES[key], *number.ends, used, number.source, number.url))
    stated = {*platform.numbers, *([Q99] if "max_counts" in platform.numbers else [])}
    rows += [(key, QUANTITIES[key], np.nan, np.nan, _open(request, key), "", "") for key in OPEN if key not in stated]
    return request, pd.DataFrame(rows, columns=COLUMNS)


def _used(request: Request, key: str, number: Number, column: str) -> tuple[Request, str]:
    """The request with a number unless the user gave another, and what was done, in words."""
    if key in (LENGTH, Q99, PER_MILLION):
        if column in request.limits:
            return request, f"yours: limits={{{column!r}: {_ends(request.limits[column])}}}"
        limits = {**request.limits, column: number.ends}
        return replace(request, limits=limits), f"limits={{{column!r}: {_ends(number.ends)}}}"
    if key in ("mean_counts", "max_counts"):
        own = getattr(request, key)
        if own != ANY:
            return request, f"yours: {key}={_ends(own)}"
        filled: dict[str, Any] = {key: number.ends}
        return replace(request, **filled), f"{key}={_ends(number.ends)}"
    if key == "max_transcripts":
        if request.max_transcripts is not None:
            return request, f"yours: max_transcripts={request.max_transcripts}"
        return replace(request, max_transcripts=number.high), f"max_transcripts={number.high:g}"
    if key == "probe_sets":
        if request.probe_sets is not None:
            return request, f"yours: probe_sets={request.probe_sets}"
        if request.max_transcripts is None:
            return request, "a decision for each gene only under a cap; give max_transcripts="
        sets = int(number.low), int(number.high)
        return replace(request, probe_sets=sets), f"probe_sets={sets}"
    return request, "size of the panel" if key in ("n_genes", "n_added") else "for information"


def _open(request: Request, key: str) -> str:
    """What the user gave where there is no public number, or what to give."""
    if key == "max_transcripts" and request.max_transcripts is not None:
        own = f"max_transcripts={request.max_transcripts}"
    elif key == Q99 and request.max_counts != ANY:
        own = f"max_counts={_ends(request.max_counts)}"
    elif key in request.limits:
        own = f"limits={{{key!r}: {_ends(request.limits[key])}}}"
    else:
        return OPEN[key]
    return f"{OPEN[key].partition(';')[0]}; yours: {own}"


def _ends(ends: tuple[float, float]) -> str:
    """A range as the user writes it."""
    low, high = (f"{end:g}" if np.isfinite(end) else "None" for end in ends)
    return f"({low}, {high})"


def not_applied(table: pd.DataFrame) -> dict[str, str]:
    """What the numbers are that were not applied, and why."""
    rows = table[table["used"].str.startswith(NOT_APPLIED)] if len(table) else table
    return {row.what: row.used.removeprefix(NOT_APPLIED) for row in rows.itertuples()}


def sizes_of(found: Design) -> dict[str, int]:
    """The numbers of genes that a platform may limit: of the whole panel, and those added to a printed one."""
    problem = found.problem
    printed = len(problem.found.existing) + len(problem.genes.absent(problem.request.extend, "extend"))
    added = problem.request.n_genes
    return {"n_genes": added + printed} | ({"n_added": added} if printed else {})


def with_sizes(table: pd.DataFrame, sizes: Mapping[str, int]) -> pd.DataFrame:
    """The table of `fitted` with the size of the panel beside what the platform takes."""
    used = table["used"].mask(table["quantity"] == "n_added", "there is no printed panel")
    for row in table.itertuples():
        if (n := sizes.get(str(row.quantity))) is not None and row.source:
            wrong = ", too few" if n < row.low else ", too many" if n > row.high else ""
            used[row.Index] = f"this panel: {n:,}{wrong}"
    return table.assign(used=used)


def wrong_sizes(platform: Platform, sizes: Mapping[str, int]) -> Iterator[str]:
    """Sentences on a panel that is larger or smaller than the platform takes."""
    for key, n in sizes.items():
        number = platform.numbers.get(key)
        if number is not None and not number.low <= n <= number.high:
            range_of = f"{number.low:g} to {number.high:,.0f}"
            fits = sizes.get("n_added", n) + (number.high - n if n > number.high else number.low - n)
            way_out = f" Pass n_genes={fits:.0f}." if fits >= 1 else ""
            yield (
                f"this panel cannot be ordered: {n:,} {QUANTITIES[key]}, and {platform.title} takes {range_of} "
                f"({number.source}).{way_out}"
            )


def on_platform(found: Design, platform: Platform | None) -> Iterator[str]:
    """What a person should know of a panel designed for a platform."""
    problem = found.problem
    if platform is not None:
        yield from wrong_sizes(platform, sizes_of(found))
    low, high = problem.request.limits.get(Q99, ANY)
    rare = problem.classes.n_cells < RARE * problem.expressed.pooled.cells[0]
    if low > 0 and rare.any():
        yield (
            f"{Q99} is over all cells, so that a gene of a class below {RARE:.0%} of them alone does not reach {low:g} "
            f"({join_names(problem.classes.labels[rare])}). Pass limits={{{Q99!r}: {_ends((-np.inf, high))}}} to allow "
            "such genes."
        )


def in_words(platform: Platform, table: pd.DataFrame) -> str:
    """One line per number of a platform, and per limit that is not public."""
    lines = [f"{platform.name}: {platform.title}"]
    for row in table.itertuples():
        lines.append(
            f"  {row.what}: {'; '.join(filter(None, (range_in_words(row.low, row.high), row.used)))}"
            + f" [{row.source}]" * bool(row.source)
        )
    return "\n".join(lines)
