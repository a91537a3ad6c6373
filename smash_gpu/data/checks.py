"""Checks of the stored values: can they be counts, or logarithms?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import to_host

LOG_CEILING = 20.0  # log1p of counts per 10,000 cannot exceed 9.3, of counts per million 13.9


@dataclass(frozen=True)
class ValueChecks(Additive):
    """How many stored values are non-zero, not finite, negative, fractional, and too large for a logarithm."""

    nonzero: Any
    not_finite: Any
    negative: Any
    fractional: Any
    large: Any

    @classmethod
    def of(cls, block: Any) -> Self:
        """Of one block, on the host."""
        return cls(*(np.atleast_1d(to_host(n)) for n in ops.value_checks(block, LOG_CEILING)))

    @classmethod
    def none(cls) -> Self:
        """Of no block."""
        return cls.from_array(np.zeros(len(fields(cls)), dtype=np.int64))

    @classmethod
    def from_array(cls, numbers: Any) -> Self:
        """The inverse of `to_array`, from host or device."""
        return cls(*to_host(numbers)[:, None])

    def to_array(self) -> np.ndarray:
        """All numbers as one array, on the host."""
        return np.concatenate(self._sums()).astype(np.int64)

    def complain(self, *, are_counts: bool) -> None:
        """Raise if the matrix cannot hold raw counts, or logarithms.

        Raises
        ------
        ValueError
            The message says what to do.
        """
        if self.not_finite[0]:
            raise ValueError(f"the matrix has {self.not_finite[0]:,} NaN or infinite values; replace them first.")
        if self.negative[0]:
            raise ValueError(
                f"the matrix has {self.negative[0]:,} negative values, so it seems to be scaled. Raw counts are "
                "needed: pass layer= if a layer holds them, or log-normalised values with normalize=False "
                "(often use_raw=True)."
            )
        if not self.nonzero[0]:
            raise ValueError("the matrix has only zeros; pass layer= or use_raw=True if the counts are elsewhere.")
        if are_counts and self.fractional[0] and not self.large[0]:
            raise ValueError(
                "raw counts are expected, but the matrix has fractions and no value above 20, so it seems to be "
                "log-normalised. Pass normalize=False if it is, or layer= for the layer that holds the counts."
            )
        if not are_counts and not self.fractional[0]:
            raise ValueError(
                "normalize=False is for log-normalised values, but the matrix has whole numbers only, so it seems to "
                "hold raw counts. Leave normalize out."
            )
