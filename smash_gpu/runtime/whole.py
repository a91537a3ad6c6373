"""Options that are whole numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def require_whole(**options: Any) -> None:
    """Raise a TypeError that names the first option whose value is no whole number."""
    for name, value in options.items():
        if not isinstance(value, Integral):
            raise TypeError(f"{name}={value!r} must be a whole number.")
