"""What earlier passes over a matrix have shown: its values are checked, the sums of its groups are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from weakref import ref

import numpy as np

from smash_gpu.blocks.fold import fold, stream
from smash_gpu.compute.additive import Additive
from smash_gpu.data.checks import ValueChecks
from smash_gpu.data.stats import GroupStats

BYTES_OF_SUMS = 2**28  # larger sums are not kept for later steps


@dataclass
class Known:
    """The state of one matrix, shared by all data sets that read it.

    Its `fold` and `stream` are those of `blocks.fold`, with one addition: the first pass, of whatever kind, also checks
    every stored value. A pass that breaks off proves nothing, and the next one checks again.

    Attributes
    ----------
    are_counts
        Whether the values must be raw counts; False: logarithms.
    is_checked
        Whether all values were checked.
    sums
        Sums per group that later steps may need, by a hash of the code of the cells and of the options.
    wanted
        The hash of those that are kept.
    """

    are_counts: bool
    is_checked: bool = False
    sums: dict[str, GroupStats] = field(default_factory=dict)
    wanted: str = ""
    _matrix: Callable[[], Any] | None = None

    def bind(self, matrix: Any) -> Self:
        """Name the matrix that this is about; it is not kept alive."""
        self._matrix = ref(matrix)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the reference to the matrix, which cannot be sent to other processes."""
        return vars(self) | {"_matrix": None}

    def is_about(self, matrix: Any) -> bool:
        """Whether `bind` named this matrix."""
        return self._matrix is not None and self._matrix() is matrix

    def fold(self, X: Any, step: Callable, *per_cell: np.ndarray, device: str = "cpu") -> Any:
        """`blocks.fold.fold`.

        Raises
        ------
        ValueError
            If the values cannot be what they must be.
        """
        if self.is_checked:
            return fold(X, step, *per_cell, device=device)
        found = fold(X, partial(_checked, step=step), *per_cell, device=device)
        self._judge(found.checks)
        return found.state

    def stream(self, X: Any, *per_cell: np.ndarray, step: Callable | None = None, device: str = "cpu") -> Iterator[Any]:
        """`blocks.fold.stream`; values that cannot be what they must be are an error at the end of the pass.

        Raises
        ------
        ValueError
            After the last block.
        """
        if self.is_checked:
            yield from stream(X, *per_cell, step=step, device=device)
            return
        checks = ValueChecks.none()
        checked = None if step is None else partial(_with_checks, step=step)
        for found in stream(X, *per_cell, step=checked, device=device):
            checks += ValueChecks.of(found[0]) if step is None else ValueChecks.from_array(found[1])
            yield found if step is None else found[0]
        self._judge(checks)

    def check(self, X: Any, device: str = "cpu") -> None:
        """Make a pass for the checks alone, if there was none: before code of others is given the values.

        Raises
        ------
        ValueError
            If the values cannot be what they must be.
        """
        if not self.is_checked:
            self._judge(fold(X, ValueChecks.of, device=device))

    def keep(self, hashed: str, sums: GroupStats) -> None:
        """Keep sums for later steps, in the place of any others, if they are wanted and small enough."""
        if hashed == self.wanted and sum(array.nbytes for array in vars(sums).values()) <= BYTES_OF_SUMS:
            self.sums = {hashed: sums}

    def _judge(self, checks: ValueChecks) -> None:
        checks.complain(are_counts=self.are_counts)
        self.is_checked = True


@dataclass(frozen=True)
class _Checked(Additive):
    checks: ValueChecks
    state: Additive


def _checked(block: Any, *parts: np.ndarray, step: Callable) -> _Checked:
    return _Checked(ValueChecks.of(block), step(block, *parts))


def _with_checks(block: Any, *parts: np.ndarray, step: Callable) -> tuple[Any, np.ndarray]:
    return step(block, *parts), ValueChecks.of(block).to_array()
