"""Memory as a budget: what a run may take of the host, by the user's word or a share of what is free."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

SHARE_OF_FREE = 0.5
LEAST_ROOM = 64 * 2**20
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
WITHOUT_A_WORD = 4 * 2**30  # free memory where the system does not tell (Windows)
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CGROUP_FILES = {  # by the controllers of a line in OWN_CGROUPS; of memory.stat what the page cache is called
    "": ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    "memory": (
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
}
_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def limit(memory: int | str | None) -> Iterator[None]:
    """Keep the whole process below ``memory`` (bytes, or "8GB", "500 MiB") inside; None leaves what holds outside.

    Raises
    ------
    ValueError
        If it cannot be read, or is less than the process has already taken.
    """
    if memory is None:
        yield
        return
    asked = n_bytes(memory)
    if asked < taken() + LEAST_ROOM:
        raise ValueError(
            f"memory={memory!r} does not do: the program has {taken() / 1e6:,.0f} MB before it reads anything, and "
            f"needs {LEAST_ROOM / 1e6:,.0f} MB more at least."
        )
    token = _limit.set(asked)
    try:
        yield
    finally:
        _limit.reset(token)


def room() -> int:
    """Bytes that may still be taken on the host: up to the limit, or half of what is free where there is none.

    No less than `LEAST_ROOM`, with which a run goes on slowly rather than not at all.
    """
    asked = _limit.get()
    return max(int(available() * SHARE_OF_FREE) if asked is None else asked - taken(), LEAST_ROOM)


def n_bytes(memory: int | str) -> int:
    """``memory`` in bytes: a number, or a number with a unit, 1 GB = 10⁹ and 1 GiB = 2³⁰.

    Raises
    ------
    ValueError
        If it is no such thing.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kKMGT]i?)?[bB]?)\s*", str(memory))
    if not found or not float(found[1]):
        raise ValueError(f"memory={memory!r} is no amount of memory: write '8GB', '500MB' or a number of bytes.")
    unit = (found[2] or "").replace("k", "K")
    return int(float(found[1]) * UNITS[unit])


def taken() -> int:
    """Bytes of memory that this process has at present."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak()


def peak() -> int:
    """The most bytes of memory that this process has had; 0 where the system does not tell (Windows).

    The kernel's own word where there is one: ``getrusage`` starts with the memory of the program that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def is_limited() -> bool:
    """Whether the user has said how much memory the process may have."""
    return _limit.get() is not None


def available() -> int:
    """Bytes of memory that can be had on this machine, or in this container if that is less."""
    return min([_free(), *_free_in_containers()])


def _free() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return WITHOUT_A_WORD


def _free_in_containers() -> Iterator[int]:
    """Of the control groups that hold this process, one in the other, those with a limit."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind in CGROUP_FILES:
            mount, *names = CGROUP_FILES[kind]
            inner = Path(path.lstrip("/"))
            for group in (inner, *inner.parents):
                yield from _free_in(CGROUPS / mount / group, *names)


def _free_in(group: Path, most: str, used: str, cached: tuple[str, ...]) -> Iterator[int]:
    """The kernel counts the page cache as used, and gives it up for whoever needs memory."""
    with suppress(OSError, ValueError):
        free = int((group / most).read_text()) - int((group / used).read_text())
        with suppress(OSError, ValueError):
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            free += sum(int(stat.get(name, 0)) for name in cached)
        yield max(free, 0)
