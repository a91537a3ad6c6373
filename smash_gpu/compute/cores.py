"""How many processor cores there are for this process, and how many of them are idle."""

from __future__ import annotations

import os

LOOK = 0.05  # seconds over which the use of the cores is measured
IDLE = 0.5  # of the time


def cores() -> int:
    """Processor cores that this process may use; all of the machine where the system does not say (macOS, Windows)."""
    return len(_own())


def idle_cores() -> int:
    """Cores for this process on which nothing runs just now; at least 1, its own."""
    import psutil

    busy = psutil.cpu_percent(interval=LOOK, percpu=True)
    return max(1, sum(busy[core] < 100 * IDLE for core in _own() if core < len(busy)))


def _own() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
