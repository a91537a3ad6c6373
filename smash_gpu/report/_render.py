"""The templates, filled with values. Every value is escaped where it is printed, so no name can become markup."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd

from smash_gpu.pl._labels import list_label, metric_label

if TYPE_CHECKING:
    from jinja2 import Environment

LOST = "\N{REPLACEMENT CHARACTER}"
MINUS = "\N{MINUS SIGN}"


def render(template: str, **values: Any) -> str:
    """The template of this name with these values, date and version; a value that it lacks is an error."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment().get_template(template).render(values, date=date, version=version("smash-gpu"))


@cache
def environment() -> Environment:
    """Where the templates are, and how they are filled."""
    # here and not above, so that `import smash_gpu` stays fast
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("smash_gpu.report"), autoescape=True, undefined=StrictUndefined, finalize=printable,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        extensions=["jinja2.ext.do"],
    )  # fmt: skip
    for text in (list_label, metric_label, percent, significant, thousands):
        environment.filters[text.__name__] = text
    environment.tests |= {"missing": pd.isna, "numeric": pd.api.types.is_any_real_numeric_dtype}
    return environment


def printable(value: Any) -> Any:
    """``value`` as text without characters that do not print, such as those that reverse the direction of text.

    Markup of the templates themselves stays as it is.
    """
    if hasattr(value, "__html__"):
        return value
    text = str(value)
    return text if text.isprintable() else "".join(map(_printed, text))


def _printed(character: str) -> str:
    return character if character.isprintable() else " " if character.isspace() else LOST


def thousands(value: float) -> str:
    """A whole number with commas between the thousands."""
    return f"{int(value):,}"


def significant(value: float) -> str:
    """Three significant digits, of small numbers six decimals; a dash for a missing value."""
    if pd.isna(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return thousands(value).replace("-", MINUS)
    size = abs(value)
    digits = f"{value:.6f}" if size < 1e-4 else f"{value:#.3g}".rstrip(".") if size < 1000 else f"{value:,.0f}"
    return digits.replace("-", MINUS)


def percent(share: float, digits: int = 0) -> str:
    """A share in percent; a dash for a missing value."""
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f} %"
