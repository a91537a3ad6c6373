"""A progress bar for work that takes more than a few seconds, and lines about what was found."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

SECONDS_OF_SILENCE = 2.0
LOG = logging.getLogger("smash_gpu")


def say(line: str) -> None:
    """Log a line; it goes to stderr unless the program handles logs itself or has set the level of "smash_gpu"."""
    if not LOG.hasHandlers():
        LOG.addHandler(logging.StreamHandler(sys.stderr))
    if LOG.level == logging.NOTSET:
        LOG.setLevel(logging.INFO)
    LOG.info(line)


def track(
    steps: Sequence,
    what: str,
    *,
    unit: str,
    size: Callable[[Any], int] = lambda _: 1,
    note: Callable[[], str] | None = None,
) -> Iterator:
    """Iterate over ``steps`` with a bar on a terminal or in a notebook, after `SECONDS_OF_SILENCE`.

    Parameters
    ----------
    size
        How many units a step is.
    note
        What to show after the bar; called after each step.
    """
    from tqdm.auto import tqdm

    options = {"delay": SECONDS_OF_SILENCE, "disable": None, "leave": False, "unit_scale": True, "unit": unit}
    with tqdm(desc=what, total=sum(map(size, steps)), **options) as bar:
        for step in steps:
            yield step
            if note is not None:
                bar.set_postfix_str(note(), refresh=False)
            bar.update(size(step))
