"""What is public about the imaging platforms, with a source for every number, and the user's own files of that form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smash_gpu.runtime.words import did_you_mean, join_names, not_one_of

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("platforms.toml")
Q99, PER_MILLION, LENGTH = "expression_q99", "counts_per_million", "min_transcript_length"
LENGTH_KEY = "transcript_length"  # the column of var that is used where it is there
QUANTITIES = {
    "n_genes": "genes of the whole panel",
    "n_added": "genes added to a printed panel",
    "probes": "probes per gene",
    "probe_length": "bases that a probe binds",
    "probe_spacing": "bases between two probes",
    LENGTH: "bases of the shortest transcript",
    Q99: "99 % quantile of log1p(counts per 10,000) over all cells",
    PER_MILLION: "counts per million, all cells together",
    "mean_counts": "mean counts per cell over all cells",
    "max_counts": "mean counts per cell in the class with the most",
    "max_transcripts": "transcripts per cell of the whole panel in any class",
    "probe_sets": "probe sets per gene",
    "background": "counts per target and cell without its transcript",
    "observed_transcripts": "transcripts per cell in a published run",
}
AT_LEAST, AT_MOST = (LENGTH,), ("max_transcripts",)  # of these one number is an end of the range
WORDS = ("value", "source", "url")
COLUMNS = ["platform", "quantity", "what", "low", "high", "source", "url"]


@dataclass(frozen=True)
class Number:
    """A number, or the ends of a range (±∞ where open), and where it is from."""

    low: float
    high: float
    source: str
    url: str = ""

    @property
    def ends(self) -> tuple[float, float]:
        """``(low, high)``."""
        return self.low, self.high


@dataclass(frozen=True)
class Platform:
    """What is known of a platform, by the keys of `QUANTITIES`."""

    name: str
    title: str
    numbers: Mapping[str, Number] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per number; ``low`` and ``high`` are −∞ and ∞ at open ends."""
        import pandas as pd

        rows = [(self.name, key, QUANTITIES[key], *vars(number).values()) for key, number in self.numbers.items()]
        return pd.DataFrame(rows, columns=COLUMNS)


def platforms() -> pd.DataFrame:
    """The platforms that `tl.panel` knows, with their numbers and the source of each.

    What no source gives is not in the table: 10x Genomics' limit on crowding, Vizgen's caps on expression. A file of
    your own in the form of ``smash_gpu/panel/platforms.toml`` works like these: ``platform="my_platform.toml"``.

    Returns
    -------
    One row per number: ``platform``, ``quantity``, ``what`` it is, ``low`` and ``high`` (float64; equal for a single
    number, ±∞ for an open end), ``source``, ``url``.

    Raises
    ------
    ValueError
        If the file of the package was changed and cannot be read.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> table = smg.platforms()
    >>> table.loc[table["quantity"] == "probe_sets", ["platform", "low", "high"]].to_numpy().tolist()
    [['xenium_v1', 1.0, 8.0], ['xenium_prime', 1.0, 6.0]]
    """
    import pandas as pd

    return pd.concat([known.table for known in built_in().values()], ignore_index=True)


@cache
def built_in() -> Mapping[str, Platform]:
    """The platforms of the package, by name."""
    return {known.name: known for known in _read(FILE)}


def platform_of(platform: str | Path) -> Platform:
    """A platform of the package by its name, or that of a TOML file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such platform or file, or the file is not of the form.
    """
    if isinstance(platform, str) and platform in built_in():
        return built_in()[platform]
    if isinstance(platform, str) and Path(platform).suffix.lower() != ".toml":
        known = not_one_of("platform", platform, built_in())
        raise ValueError(f"{known} A file with one of your own ends in .toml.")
    found = _read(Path(platform))
    if len(found) != 1:
        names = join_names(one.name for one in found)
        raise ValueError(f"{platform} must hold one platform, in a table such as [my_platform]; it holds {names}.")
    return found[0]


def _read(path: Path) -> list[Platform]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; platforms of the package: {join_names(built_in())}.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}.") from None
    return [_platform(name, table, path) for name, table in tables.items()]


def _platform(name: str, table: Any, path: Path) -> Platform:
    where = f"{path}, [{name}]"
    if not isinstance(table, dict):
        near = f" Put it into a table, such as [my_platform], above the line {name} = …" * (name in QUANTITIES)
        raise ValueError(f"{path}: {name!r} is not a table of numbers.{near}")
    _check_words(table, ("title", *QUANTITIES), where)
    numbers = {key: _number(key, table[key], where, path) for key in QUANTITIES if key in table}
    if "probe_length" in numbers and "probes" in numbers and LENGTH not in numbers:
        numbers[LENGTH] = _room_for_probes(numbers)
    in_order = {key: numbers[key] for key in QUANTITIES if key in numbers}
    return Platform(name, str(table.get("title", name)), in_order)


def _number(key: str, entry: Any, where: str, path: Path) -> Number:
    """A number with its source, or a bare one of a user's own file."""
    entry = entry if isinstance(entry, dict) else {"value": entry, "source": str(path)}
    where = f"{where}, {key}"
    _check_words(entry, WORDS, where)
    if not str(entry.get("source", "")).strip():
        raise ValueError(f"{where}: source = … is missing; say where the number is from.")
    value = entry.get("value")
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(type(end) in (int, float) for end in ends) or not 0 <= ends[0] <= ends[1]:
        raise ValueError(f"{where}: value = {value!r} must be a number from 0 on, or a range such as [1, 8].")
    if key == "probe_sets" and not all(end >= 1 and float(end).is_integer() for end in ends):
        raise ValueError(f"{where}: value = {value!r}; a number of probe sets is whole and at least 1.")
    low, high = map(float, ends)
    if not isinstance(value, list):
        low, high = (-np.inf if key in AT_MOST else low), (np.inf if key in AT_LEAST else high)
    return Number(low, high, str(entry["source"]), str(entry.get("url", "")))


def _room_for_probes(numbers: Mapping[str, Number]) -> Number:
    """The shortest transcript on which the fewest and shortest probes fit."""
    probes, length = numbers["probes"], numbers["probe_length"]
    spacing = numbers["probe_spacing"].low if "probe_spacing" in numbers else 0.0
    sum_of = f"{probes.low:g} probes × ({length.low:g} + {spacing:g}) bases"
    return Number(probes.low * (length.low + spacing), np.inf, f"{sum_of}; {probes.source}", probes.url)


def _check_words(entry: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for word in entry:
        if word not in known:
            raise ValueError(
                f"{where}: {word!r} is not known.{did_you_mean(word, known)} Known are {join_names(known)}."
            )


def range_in_words(low: float, high: float) -> str:
    """A range, a single number, or an end; empty for missing values."""
    if np.isnan(low):
        return ""
    if low == high:
        return f"{low:,g}"
    if not np.isfinite(high):
        return f"at least {low:,g}"
    return f"{low:,g} to {high:,g}" if low > 0 else f"at most {high:,g}"
