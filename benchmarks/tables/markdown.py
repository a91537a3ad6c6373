"""Tables in Markdown, and the rows they are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from benchmarks import record


def lines(name: str) -> list[dict]:
    """The JSON lines of a benchmark, in their order."""
    return [json.loads(line) for line in (record.RESULTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def frame(name: str) -> pd.DataFrame:
    """The same as a table."""
    return pd.DataFrame(lines(name))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [head, ["---"] * len(head), *rows])


def spread(median: float, low: float, high: float, form: str = ".1f") -> str:
    """A median with the smallest and largest value."""
    return f"{median:{form}} ({low:{form}}–{high:{form}})"
