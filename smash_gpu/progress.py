"""A progress bar for whatever lasts more than a few seconds; silence for what does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SECONDS_OF_SILENCE = 2.0


def track(steps: Iterable, what: str, **options: Any) -> Any:
    """Iterate over ``steps`` with a bar on a terminal or in a notebook, once it has lasted long enough."""
    from tqdm.auto import tqdm

    return tqdm(steps, desc=what, delay=SECONDS_OF_SILENCE, disable=None, leave=False, **options)
