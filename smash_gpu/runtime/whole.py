"""Options that are numbers."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def require_whole(**options: Any) -> None:
    """Raise a TypeError that names the first option whose value is no whole number."""
    for name, value in options.items():
        if not isinstance(value, Integral):
            raise TypeError(f"{name}={value!r} must be a whole number.")


def require_at_least(least: int, **options: Any) -> None:
    """Raise an error that names the first option whose value is no whole number, or a smaller one."""
    require_whole(**options)
    for name, value in options.items():
        if value < least:
            raise ValueError(f"{name}={value} must be at least {least}.")


def require_real(**options: Any) -> None:
    """Raise a TypeError that names the first option whose value is no number; True and False are none."""
    for name, value in options.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"{name}={value!r} must be a number.")
