"""Names of models as options of a command."""

from __future__ import annotations

import argparse
from typing import Any

PANEL = "panel"


class Known(tuple):
    """Choices of an option; several models joined by commas are one, which `as_models` takes apart."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, tuple):
            return bool(value) and PANEL not in value and all(map(super().__contains__, value))
        return super().__contains__(value)


class Joined(argparse.Action):
    """One model, or a tuple of all that follow the option."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, given: Any, _: Any = None
    ) -> None:
        """Set what was given."""
        names = [name for one in given for name in ([one] if isinstance(one, str) else one)]
        setattr(namespace, self.dest, names[0] if len(names) == 1 else tuple(names))


def as_models(word: str) -> str | tuple[str, ...]:
    """A model, or a tuple of those with commas between them."""
    names = tuple(name for name in word.split(",") if name)
    return names if len(names) > 1 else word.strip(",")
