"""Quotas: at least and at most so many genes of a group, such as ligands or a gene family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from smash_gpu.genes import filters as gene_filters
from smash_gpu.genes.lists import GeneNames, listed
from smash_gpu.genes.names import FAMILY_NAMES
from smash_gpu.runtime.words import did_you_mean

LEAST, MOST = "genes at least", "genes at most"


class Quota(NamedTuple):
    """The genes of a group (a list, or the name of a family), and the least and the most of them in a panel."""

    genes: tuple[str, ...] | str
    low: int = 0
    high: int | None = None

    def __str__(self) -> str:
        genes = self.genes if isinstance(self.genes, str) else ", ".join(self.genes)
        return f"{self.low} to {'-' if self.high is None else self.high} of {genes}"


def quotas_of(given: Mapping[str, Any]) -> dict[str, Quota]:
    """Quotas by name, from ``{name: (genes, low, high)}``.

    Raises
    ------
    TypeError, ValueError
        If one is not of this form, or its range is empty.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"quotas={given!r} is not a mapping; pass {{name: (genes, low, high)}}.")
    return {str(name): _quota(str(name), entry) for name, entry in given.items()}


def _quota(name: str, given: Any) -> Quota:
    what = f"quotas[{name!r}]"
    try:
        genes, low, high = given
    except (TypeError, ValueError):
        raise TypeError(f"{what} is not (genes, low, high), with None for an open end.") from None
    if isinstance(genes, str) and genes not in FAMILY_NAMES:
        near = did_you_mean(genes, FAMILY_NAMES)
        raise ValueError(
            f"{what}: {genes!r} is not one of the families {', '.join(FAMILY_NAMES)}.{near} Pass a list of genes, or a "
            "pathlib.Path to a file with them."
        )
    low, high = (None if end is None else _whole(end, what) for end in (low, high))
    low = 0 if low is None else low
    if high is not None and high < low:
        raise ValueError(f"{what} asks for at least {low} and at most {high} genes; no number is both.")
    return Quota(genes if isinstance(genes, str) else listed(genes, what), low, high)


def _whole(end: Any, what: str) -> int:
    try:
        number = float(end)
    except (TypeError, ValueError):
        raise TypeError(f"{what} holds {end!r}, which is not a number of genes.") from None
    if number < 0 or number != np.floor(number):
        raise ValueError(f"{what} holds {end!r}; a number of genes is whole and 0 or more.")
    return int(number)


def members(quotas: Mapping[str, Quota], known: GeneNames, species: str) -> dict[str, np.ndarray]:
    """Mask of the genes of each group; genes that the data lack are left out with a warning."""
    return {name: _members(name, quota.genes, known, species) for name, quota in quotas.items()}


def _members(name: str, genes: Iterable[str] | str, known: GeneNames, species: str) -> np.ndarray:
    what = f"quotas[{name!r}]"
    if isinstance(genes, str):
        found = gene_filters.family_rules((genes,), known.symbols, species, what=what)
        return np.any([np.zeros(len(known.names), dtype=bool), *found.values()], axis=0)
    return known.mask(genes, what, missing="warn")


class Rows(NamedTuple):
    """Rows of `Caps`."""

    what: list[str]
    of: list[str]
    load: np.ndarray
    limit: list[float]


def rows(quotas: Mapping[str, Quota], groups: Mapping[str, np.ndarray], size: int) -> Rows:
    """The quotas as caps on a panel of exactly ``size`` genes, existing ones included.

    At least ``low`` genes of a group are at most ``size − low`` other genes, so one kind of limit is enough.
    """
    found: list[tuple[str, str, np.ndarray, float]] = []
    for name, quota in quotas.items():
        inside = groups[name].astype(float)
        if quota.high is not None:
            found.append((MOST, name, inside, float(quota.high)))
        if quota.low:
            found.append((LEAST, name, 1 - inside, float(size - quota.low)))
    n_genes = len(next(iter(groups.values())))
    load = np.array([row[2] for row in found]).reshape(len(found), n_genes)
    return Rows([row[0] for row in found], [row[1] for row in found], load, [row[3] for row in found])
