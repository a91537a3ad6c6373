"""Checks of the stored values: can they be counts, or logarithms?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from smash_gpu.blocks.fold import fold
from smash_gpu.compute import ops
from smash_gpu.compute.additive import Additive
from smash_gpu.compute.xp import to_host
from smash_gpu.data.stats import GroupStats

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


@dataclass(frozen=True)
class _Checked(Additive):
    checks: ValueChecks
    stats: GroupStats


def checked_group_stats(
    X: Any, group: np.ndarray, n_groups: int, *, target_sum: float | None = 1e4, device: str = "cpu"
) -> GroupStats:
    """`group_stats`, and in the same pass a look at every stored value.

    Raises
    ------
    ValueError
        If they cannot be counts (with a ``target_sum``) or logarithms (without).
    """

    def step(block: Any, group: np.ndarray) -> _Checked:
        return _Checked(ValueChecks.of(block), GroupStats(*ops.group_stats(block, group, n_groups, target_sum)))

    found = fold(X, step, group, device=device).to_host()
    found.checks.complain(are_counts=target_sum is not None)
    return found.stats
