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
from smash_gpu.data.checks import Parts, ValueChecks
from smash_gpu.data.stats import GroupStats
from smash_gpu.data.verdict import Verdict

BYTES_OF_SUMS = 2**28  # larger sums are not kept for later steps


def _nowhere(**_: bool) -> str:
    return ""


@dataclass
class Known:
    """The state of one matrix, shared by all data sets that read it.

    Its `fold` and `stream` are those of `blocks.fold`, with one addition: the first pass, of whatever kind, also checks
    every stored value. A pass that breaks off proves nothing, and the next one checks again.

    Attributes
    ----------
    normalize
        What the values must be. None: raw counts; True: raw counts, since the user says so; False: logarithms.
    checks
        What all values were found to be; None before the first pass.
    parts
        The files or samples of the cells, for messages; None: all cells are one part.
    elsewhere
        Says where else in the data there are counts or logarithms.
    sums
        Sums per group that later steps may need, by a hash of the code of the cells and of the options.
    wanted
        The hash of those that are kept.
    """

    normalize: bool | None = None
    checks: ValueChecks | None = None
    parts: Parts | None = None
    elsewhere: Callable[..., str] = _nowhere
    sums: dict[str, GroupStats] = field(default_factory=dict)
    wanted: str = ""
    _matrix: Callable[[], Any] | None = None

    def bind(self, matrix: Any) -> Self:
        """Name the matrix that this is about; it is not kept alive."""
        self._matrix = ref(matrix)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the references to the data, which cannot be sent to other processes."""
        return vars(self) | {"_matrix": None, "elsewhere": _nowhere}

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
        parts = self._parts_of(X)
        checked = partial(_checked, step=step, n_parts=len(parts.names))
        found = fold(X, checked, parts.code, *per_cell, device=device)
        self.judge(found.checks)
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
        parts, checks = self._parts_of(X), None
        of_block = partial(ValueChecks.of, n_parts=len(parts.names))
        checked = None if step is None else partial(_with_checks, step=step, of_block=of_block)
        for found in stream(X, parts.code, *per_cell, step=checked, device=device):
            if step is None:
                block, code, *rest = found
                found = (block, *rest), of_block(block, code).sums
            here, sums = found
            checks = sums if checks is None else checks + sums
            yield here
        self.judge(ValueChecks.none() if checks is None else ValueChecks(checks))

    def check(self, X: Any, device: str = "cpu") -> None:
        """Make a pass for the checks alone, if there was none: before code of others is given the values.

        Raises
        ------
        ValueError
            If the values cannot be what they must be.
        """
        if not self.is_checked:
            parts = self._parts_of(X)
            self.judge(fold(X, partial(ValueChecks.of, n_parts=len(parts.names)), parts.code, device=device))

    def judge(self, checks: ValueChecks) -> None:
        """Take over what a pass over all cells has found, now or in an earlier run.

        Raises
        ------
        ValueError
            If the values cannot be what they must be.
        """
        if not self.is_checked:
            checks = checks.to_host()
            self._verdict(checks).require(normalize=self.normalize)
            self.checks = checks

    @property
    def is_checked(self) -> bool:
        """Whether all values were checked."""
        return self.checks is not None

    @property
    def why_no_counts(self) -> str:
        """Why counts per cell are not known, as far as the values were checked; "" if they are."""
        if self.normalize is False:
            return "the data are log-normalised (normalize=False)"
        return "" if self.checks is None else self._verdict(self.checks).scaled

    def require_counts(self, what: str) -> None:
        """Raise a ValueError that begins with ``what`` if counts per cell are not known."""
        if why := self.why_no_counts:
            raise ValueError(f"{what}, but {why}. Pass layer= for the layer that holds the counts.")

    def keep(self, hashed: str, sums: GroupStats) -> None:
        """Keep sums for later steps, in the place of any others, if they are wanted and small enough."""
        if hashed == self.wanted and sum(array.nbytes for array in vars(sums).values()) <= BYTES_OF_SUMS:
            self.sums = {hashed: sums}

    def _parts_of(self, X: Any) -> Parts:
        return self.parts or Parts.one(X.shape[0])

    def _verdict(self, checks: ValueChecks) -> Verdict:
        parts = self.parts or Parts.one(0)
        checks = checks.of_parts(len(parts.names))
        return Verdict(checks, parts if len(checks.sums) == len(parts.names) else Parts.one(0), self.elsewhere)


@dataclass(frozen=True)
class _Checked(Additive):
    checks: ValueChecks
    state: Additive


def _checked(block: Any, code: np.ndarray, *parts: np.ndarray, step: Callable, n_parts: int) -> _Checked:
    return _Checked(ValueChecks.of(block, code, n_parts), step(block, *parts))


def _with_checks(block: Any, code: np.ndarray, *parts: np.ndarray, step: Callable, of_block: Callable) -> tuple:
    return step(block, *parts), of_block(block, code).sums
