"""The values among which `tl.tune` searches for an option of a model; imports no Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones if both are of type ``int``.

    Attributes
    ----------
    default
        The value of the model itself; the first trial has it.
    log
        Whether the numbers are drawn on a logarithmic scale.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> smg.models.Range(2, 9, default=5).is_whole
    True
    """

    low: float
    high: float
    default: float
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Choice:
    """One of a few values; the first one is that of the model itself.

    Parameters
    ----------
    values
        At least one plain value: bool, int, float, str or None.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> smg.models.Choice("sqrt", "log2", None).default
    'sqrt'
    """

    def __init__(self, *values: Value) -> None:
        self.values = values

    @property
    def default(self) -> Value:
        """The value of the model itself; the first trial has it."""
        return self.values[0]

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.values))})"


Space = Mapping[str, Range | Choice]


def defaults(space: Space) -> dict[str, Any]:
    """The default of every option."""
    return {name: one.default for name, one in space.items()}


def changed(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The values that are not the default: only these are given to a model, so that all others stay its own."""
    return {name: value for name, value in values.items() if value != space[name].default}
