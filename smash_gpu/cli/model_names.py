"""Names of models as options of a command."""

from __future__ import annotations

import argparse
from typing import Any

from smash_gpu.evaluation.judging import WILCOXON

PANEL = "panel"
ALONE = (PANEL, WILCOXON)  # no models, so in no consensus


class Known(tuple):
    """Choices of an option; several models joined by commas are one, which `as_models` takes apart."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, tuple):
            return bool(value) and not set(ALONE) & set(value) and all(map(super().__contains__, value))
        return super().__contains__(value)


class Given(argparse.Action):
    """Stores the models, and in ``model_is_given`` that they are not the default."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """What `argparse` calls for an option that is there."""
        setattr(namespace, self.dest, values)
        namespace.model_is_given = True


def as_models(word: str) -> str | tuple[str, ...]:
    """A model, or a tuple of those with commas between them."""
    names = tuple(name for name in word.split(",") if name)
    return names if len(names) > 1 else word.strip(",")
