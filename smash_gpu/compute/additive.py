"""States that are sums over cells."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from smash_gpu.compute.xp import to_host


@dataclass(frozen=True)
class Additive:
    """Sums over cells, an array or other sums in each field; ``+`` merges two disjoint sets of cells."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(a + b for a, b in zip(self._sums(), other._sums(), strict=True)))

    def __iadd__(self, other: Self) -> Self:
        for mine, theirs in zip(self._sums(), other._sums(), strict=True):
            mine += theirs
        return self

    def to_host(self) -> Self:
        """The same sums in host memory."""
        return type(self)(*(to_host(a) if not isinstance(a, Additive) else a.to_host() for a in self._sums()))

    def _sums(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]
