"""How often Python's garbage collector runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = 10_000  # new objects that may hold others; Python's default is 700


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom: libraries make half a million objects that stay, and each look goes through many."""
    after, *others = gc.get_threshold()
    gc.set_threshold(max(after, COLLECT_AFTER) if after else 0, *others)
    try:
        yield
    finally:
        gc.set_threshold(after, *others)
