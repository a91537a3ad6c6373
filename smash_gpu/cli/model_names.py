"""Names of models as options of a command."""

from __future__ import annotations

PANEL = "panel"


class Known(tuple):
    """Choices of an option; several models joined by commas are one, which `as_models` takes apart."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, tuple):
            return bool(value) and PANEL not in value and all(map(super().__contains__, value))
        return super().__contains__(value)


def as_models(word: str) -> str | tuple[str, ...]:
    """A model, or a tuple of those with commas between them."""
    names = tuple(name for name in word.split(",") if name)
    return names if len(names) > 1 else word.strip(",")
