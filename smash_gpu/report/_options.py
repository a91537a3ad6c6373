"""Options of a step as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Any

UNSET: tuple[Any, ...] = (None, "", (), [], {}, (0.0, float("inf")))


def given(options: Mapping[str, Any]) -> dict[str, str]:
    """The options that say something."""
    return {name: in_words(value) for name, value in options.items() if value not in UNSET}


def in_words(value: Any) -> str:
    """A value as a reader needs it."""
    if value is None:
        return "not given"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {in_words(v)}" for name, v in value.items()) or "none"
    if isinstance(value, (tuple, list)):
        if len(value) == 2 and isinstance(value[1], float) and isinf(value[1]):
            return f"from {value[0]}"
        return ", ".join(map(str, value)) or "none"
    return str(value)
