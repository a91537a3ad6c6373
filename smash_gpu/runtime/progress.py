"""A progress bar for work that takes more than a few seconds, lines about what was found, and how much of both."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from smash_gpu.runtime.words import not_one_of

SECONDS_OF_SILENCE = 2.0
LOG = logging.getLogger("smash_gpu")


class Verbosity(IntEnum):
    """The levels of scanpy."""

    error = 0
    warning = 1
    info = 2
    hint = 3
    debug = 4


LEVELS = {
    Verbosity.error: logging.ERROR,
    Verbosity.warning: logging.WARNING,
    Verbosity.info: logging.INFO,
    Verbosity.hint: (logging.INFO + logging.DEBUG) // 2,
    Verbosity.debug: logging.DEBUG,
}


class Settings:
    """How much the package says while it works; ``smash_gpu.settings`` is the one there is.

    Attributes
    ----------
    verbosity
        As in scanpy: 0 ("error"), 1 ("warning"), 2 ("info"), 3 ("hint") or 4 ("debug"); "info" by default. A number may
        be text, as in an environment variable. From "info" on, work of more than two seconds shows a progress bar (on a
        terminal or in a notebook) and every function of ``pp`` and ``tl`` says in a line what it found, on standard
        error. Below it shows neither. Warnings are Python's; ``warnings.filterwarnings`` is for them. The level is that
        of the logger ``"smash_gpu"``.

    Raises
    ------
    ValueError
        If there is no such level.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> smg.settings.verbosity = "warning"
    >>> smg.settings
    verbosity = 1 (warning)
    >>> smg.settings.verbosity = 2
    """

    @property
    def verbosity(self) -> Verbosity:
        """The level, 0 to 4."""
        if LOG.level == logging.NOTSET:
            return Verbosity.info
        return max((one for one, level in LEVELS.items() if level >= LOG.level), default=Verbosity.error)

    @verbosity.setter
    def verbosity(self, value: int | str) -> None:
        names = Verbosity.__members__
        value = int(value) if isinstance(value, str) and value.isdecimal() else value
        if value not in names and value not in LEVELS:
            raise ValueError(
                f"{not_one_of('verbosity', value, names)} A number from 0 to {max(LEVELS):d} is a level, too."
            )
        LOG.setLevel(LEVELS[names[value] if isinstance(value, str) else Verbosity(value)])

    def __repr__(self) -> str:
        return f"verbosity = {self.verbosity:d} ({self.verbosity.name})"


settings = Settings()


def say(line: str) -> None:
    """Log a line; it goes to stderr unless the program handles logs itself or has set the level of "smash_gpu"."""
    if not LOG.hasHandlers():
        LOG.addHandler(logging.StreamHandler(sys.stderr))
    if LOG.level == logging.NOTSET:
        LOG.setLevel(logging.INFO)
    LOG.info(line)


@contextmanager
def without_lines() -> Iterator[None]:
    """No lines inside, but progress bars: for a command that prints itself, and for calls inside a call."""
    before, LOG.disabled = LOG.disabled, True
    try:
        yield
    finally:
        LOG.disabled = before


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

    hidden = None if settings.verbosity >= Verbosity.info else True  # None: unless a terminal shows it
    options = {"delay": SECONDS_OF_SILENCE, "disable": hidden, "leave": False, "unit_scale": True, "unit": unit}
    with tqdm(desc=what, total=sum(map(size, steps)), **options) as bar:
        for step in steps:
            yield step
            if note is not None:
                bar.set_postfix_str(note(), refresh=False)
            bar.update(size(step))
