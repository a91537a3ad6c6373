"""How much memory a run may use on the host: a limit set by the user, or a share of what is free.

psutil reads the process and the machine. It does not know the limits of a container, which are read here from the
control groups, nor the peak of a process outside Windows.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

SHARE_OF_FREE = 0.5
LEAST_ROOM = 64 * 2**20
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
CGROUPS, OWN_CGROUPS, OWN_STATUS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/self/status")
CGROUP_FILES = {  # by the controllers in OWN_CGROUPS: mount, limit, use, and how lines on the page cache begin
    "": ("", "memory.max", "memory.current", ""),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}
_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def limit(memory: int | str | None) -> Iterator[None]:
    """Keep the whole process below ``memory`` (bytes, or "8GB", "500 MiB") inside; None leaves the outer limit.

    Raises
    ------
    ValueError
        If it cannot be parsed, or is too close to what the process already uses.
    """
    if memory is None:
        yield
        return
    most = n_bytes(memory)
    if most < (used := taken()) + LEAST_ROOM:
        raise ValueError(
            f"memory={memory!r} is too low: the process already uses {used / 1e6:,.0f} MB and needs at least "
            f"{LEAST_ROOM / 1e6:,.0f} MB more."
        )
    token = _limit.set(most)
    try:
        yield
    finally:
        _limit.reset(token)


def room() -> int:
    """Bytes that may still be allocated on the host: up to the limit, or half of what is free if there is no limit.

    At least `LEAST_ROOM`, so that a run continues slowly rather than not at all.
    """
    most = _limit.get()
    try:
        free = int(available() * SHARE_OF_FREE) if most is None else most - taken()
    except OSError:  # too many open files: the next file that is opened says so, with its name
        return LEAST_ROOM
    return max(free, LEAST_ROOM)


def n_bytes(memory: int | str) -> int:
    """``memory`` in bytes: a number, or a number with a unit, 1 GB = 10⁹ and 1 GiB = 2³⁰.

    Raises
    ------
    ValueError
        If it cannot be parsed.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kKMGT]i?)?[bB]?)\s*", str(memory))
    if not found or not float(found[1]):
        raise ValueError(f"cannot parse memory={memory!r}; use e.g. '8GB', '500MB' or a number of bytes.")
    return int(float(found[1]) * UNITS[(found[2] or "").replace("k", "K")])


def taken() -> int:
    """Bytes of memory that this process uses now."""
    import psutil

    return psutil.Process().memory_info().rss


def peak() -> int:
    """The most bytes of memory that this process has used.

    On Linux from the kernel's status file: ``getrusage`` starts with the memory of the program that started this one.
    """
    import psutil

    now = psutil.Process().memory_info()
    if hasattr(now, "peak_wset"):  # Windows
        return now.peak_wset
    with suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", OWN_STATUS.read_text()):
            return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def is_limited() -> bool:
    """Whether the user has set a limit."""
    return _limit.get() is not None


def available() -> int:
    """Bytes of memory that are free on this machine, or in this container if that is less."""
    import psutil

    return min([psutil.virtual_memory().available, *_free_in_containers()])


def _free_in_containers() -> Iterator[int]:
    """Free bytes of every control group with a limit that holds this process, from the innermost to the root."""
    lines: list[str] = []
    with suppress(OSError):
        lines = OWN_CGROUPS.read_text().splitlines()
    for _, controllers, path in (line.split(":", 2) for line in lines):
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind in CGROUP_FILES:
            mount, *names = CGROUP_FILES[kind]
            inner = Path(path.lstrip("/"))
            for group in (inner, *inner.parents):
                yield from _free_in(CGROUPS / mount / group, *names)


def _free_in(group: Path, most: str, used: str, prefix: str) -> Iterator[int]:
    """The kernel counts the page cache as used, but frees it when a process needs memory."""
    with suppress(OSError, ValueError):
        free = int((group / most).read_text()) - int((group / used).read_text())
        with suppress(OSError, ValueError):
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            free += sum(int(stat.get(f"{prefix}{name}", 0)) for name in ("inactive_file", "active_file"))
        yield max(free, 0)
