"""HTML from values. Text is escaped unless it is `Html` already, so no name can become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

LOST = "\N{REPLACEMENT CHARACTER}"
VOID = ("img", "meta", "br")
SHORT = 22  # letters


class Html(str):
    """Markup, safe to stand in the page as it is."""

    __slots__ = ()


def html(value: Any) -> Html:
    """``value`` as text in the page; characters that do not print, such as those that turn the direction, are lost."""
    if isinstance(value, Html):
        return value
    return Html(escape("".join(map(_printed, str(value)))))


def _printed(character: str) -> str:
    return character if character.isprintable() else " " if character.isspace() else LOST


def join(parts: Iterable[Any], between: str = "") -> Html:
    """The parts one after the other."""
    return Html(between.join(html(part) for part in parts))


def element(name: str, /, *content: Any, **attributes: Any) -> Html:
    """``<name attribute="…">content</name>``; ``class_`` is written class, and None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(content)}</{name}>")


@dataclass(frozen=True)
class Chapter:
    """A part of the page: its heading, what it is called in links, and what stands in it."""

    title: str
    name: str
    content: tuple[Any, ...]

    @property
    def markup(self) -> Html:
        """The chapter as a section."""
        heading = f"{self.name}-title"
        return element(
            "section", element("h2", self.title, id=heading), *self.content, id=self.name, aria_labelledby=heading
        )

    @property
    def link(self) -> Html:
        """A link to it."""
        return element("a", self.title, href=f"#{self.name}")


def chapter(title: str, name: str, *content: Any) -> Chapter:
    """A chapter of these parts, one below the other."""
    return Chapter(title, name, content)


def paragraph(*content: Any, class_: str | None = None) -> Html:
    """Running text."""
    return element("p", *content, class_=class_)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title
        Its head.
    cells
        A text or `Html` a row.
    kind
        "number" (right-aligned), "name" (of a group or gene; may be long), "prose" or "text".
    note
        What it means, shown when one points at the head, and read by screen readers.
    """

    title: str
    cells: Sequence[Any]
    kind: str = "text"
    note: str | None = None


def table(caption: Any, columns: Sequence[Column], *, headings: Iterable[tuple[int, Any]] = ()) -> Html:
    """A table in a box that scrolls; the first column names its row.

    Parameters
    ----------
    caption
        What it shows.
    columns
        All of one length.
    headings
        ``(row, text)``: a line across the table above that row, for a part of the rows.
    """
    above = dict(headings)
    head = element("tr", *(element("th", c.title, scope="col", class_=c.kind, title=c.note) for c in columns))
    bodies, rows = [], []
    for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if number in above:
            bodies.append(rows)
            rows = [element("tr", element("th", above[number], scope="rowgroup", colspan=len(columns)), class_="part")]
        rows.append(_row(columns, cells))
    parts = [element("tbody", *body) for body in [*bodies, rows] if body]
    whole = element("table", element("caption", element("span", caption)), element("thead", head), *parts)
    return element("div", whole, class_="scroll", role="region", tabindex="0", aria_label=_plain(caption))


def _row(columns: Sequence[Column], cells: Sequence[Any]) -> Html:
    kinds = [_kind(column, cell) for column, cell in zip(columns, cells, strict=True)]
    first = element("th", cells[0], scope="row", class_=kinds[0])
    return element("tr", first, *(element("td", cell, class_=k) for cell, k in zip(cells[1:], kinds[1:], strict=True)))


def _kind(column: Column, cell: Any) -> str:
    """The class of a cell; a short name stays on one line."""
    is_short = column.kind == "name" and len(re.sub(r"<[^>]*>", "", str(cell))) <= SHORT
    return "name short" if is_short else column.kind


def _plain(caption: Any) -> str | None:
    return None if isinstance(caption, Html) else str(caption)


def definitions(pairs: Iterable[tuple[Any, Any]], *, class_: str) -> Html:
    """A list of terms and what they are."""
    items = (element("div", element("dt", term), element("dd", value)) for term, value in pairs)
    return element("dl", *items, class_=class_)


def frame(caption: str, data: pd.DataFrame, titles: dict[str, str] | None = None) -> Html:
    """A table of a data frame as it is, its columns under ``titles``; numbers with three digits."""
    columns = []
    for name in data:
        is_number = pd.api.types.is_numeric_dtype(data[name]) and not pd.api.types.is_bool_dtype(data[name])
        cells = [number(value) if is_number else _word(value) for value in data[name]]
        title = (titles or {}).get(str(name), str(name).replace("_", " "))
        columns.append(Column(title, cells, "number" if is_number else "name"))
    return table(caption, columns)


def _word(value: Any) -> str:
    return "–" if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) else str(value)


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{int(value):,}"


def number(value: float) -> str:
    """Three digits that count; a dash for what is not known."""
    if pd.isna(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "\N{MINUS SIGN}")
    digits = f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    return digits.replace("-", "\N{MINUS SIGN}")


def percent(share: float, digits: int = 0) -> str:
    """A share in percent."""
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f} %"


def interval(mean: float, low: float, high: float) -> Html:
    """A mean, and in brackets the ends of its interval."""
    if pd.isna(mean):
        return html("–")
    ends = html("") if pd.isna(low) else element("small", f" [{low:.3f}, {high:.3f}]")
    return join([f"{mean:.3f}", ends])


def bar(text: Any, share: float) -> Html:
    """A text over a bar as long as the share, for the eye to compare rows."""
    width = 0.0 if pd.isna(share) else min(max(float(share), 0.0), 1.0)
    return element("span", text, class_="bar", style=f"--share:{100 * width:.1f}%")
