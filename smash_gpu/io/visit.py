"""Reads the structure of an HDF5 file in a child process first: HDF5 can crash or hang on a damaged file."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, singledispatch
from pathlib import Path
from typing import Any

import h5py

SECONDS_PER_OBJECT = 4.0  # without any sign of life: HDF5 hangs
SECONDS = 6.0  # of a visit; what is left of a very large structure is not visited
BYTES_READ = 2**24  # of small arrays, such as labels
BYTES_PER_STORED_BYTE = 2**11  # gzip packs zeros about a thousand times
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin"  # where libraries of the system do not survive a fork


def require_sound(path: Path) -> None:
    """Check that HDF5 can read the structure of a file, its attributes and small arrays, without a crash or a hang.

    Errors that HDF5 reports are left to the reader. Nothing is checked where Python cannot fork, and a file that was
    checked is not checked again until it changes.

    Raises
    ------
    ValueError
        If HDF5 crashes or hangs, or an array claims to be far larger than the file.
    """
    if CAN_FORK and path.is_file():
        status = path.stat()
        problem = _problem(path, status.st_size, status.st_mtime_ns)
        if problem:
            raise ValueError(f"{path} is damaged: {problem}. Copy or create it again.")


@cache
def _problem(path: Path, size: int, modified: int) -> str:
    """What is wrong with the file, or nothing."""
    if not _is_hdf5(path):
        return ""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: the child starts none
        child = os.fork()
    if child == 0:
        _live(lambda: _visit(path, size, writing))
    os.close(writing)
    try:
        return _watched(child, reading)
    finally:
        os.close(reading)


def _is_hdf5(path: Path) -> bool:
    with suppress(Exception):
        return bool(h5py.is_hdf5(path))
    return False


def _live(life: Callable[[], None]) -> None:
    """All that a child process does; it leaves without the exit handlers of its parent."""
    with suppress(BaseException):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what HDF5 or a fault handler prints
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        life()
    os._exit(0)


def _watched(child: int, reading: int) -> str:
    """What the child says is wrong, or its end; it is ended when it shows no sign of life."""
    said, start = b"", time.monotonic()
    while True:
        is_alive, _, _ = select.select([reading], [], [], SECONDS_PER_OBJECT)
        part = os.read(reading, 2**16) if is_alive else b""
        said += part.strip(b".")
        is_late = time.monotonic() - start > SECONDS
        if not part or is_late:
            break
    if not is_alive or is_late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not is_alive:
        return "HDF5 hangs when it reads the structure"
    if os.WIFSIGNALED(status) and not is_late:
        return f"HDF5 crashes when it reads the structure ({signal.Signals(os.WTERMSIG(status)).name})"
    return said.decode()


def _visit(path: Path, size: int, writing: int) -> None:
    """Read what is small in a file, with a dot for every object."""
    left = BYTES_READ
    with h5py.File(path, "r") as file:
        for item in _objects(file, set()):
            os.write(writing, b".")
            with suppress(Exception):  # the reader of the file reports it, if it needs this
                dict(item.attrs)
                n_bytes = _bytes_of(item)
                if n_bytes > BYTES_PER_STORED_BYTE * size:
                    os.write(writing, f"{item.name} claims {n_bytes:,} bytes in a file of {size:,}".encode())
                    return
                if 0 < n_bytes <= left:
                    left -= n_bytes
                    item[()]


def _objects(group: Any, seen: set[Any]) -> Iterator[Any]:
    """A group and everything in it, each once; links to other files are not followed."""
    yield group
    names: list[str] = []
    with suppress(Exception):
        names = list(group)
    for name in names:
        with suppress(Exception):
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            yield from _inside(item, seen)


@singledispatch
def _inside(item: Any, seen: set[Any]) -> Iterator[Any]:
    yield item


@_inside.register
def _(item: h5py.Group, seen: set[Any]) -> Iterator[Any]:
    yield from _objects(item, seen)


@singledispatch
def _bytes_of(item: Any) -> int:
    """Bytes of an array in memory; 0 for anything else."""
    return 0


@_bytes_of.register
def _(item: h5py.Dataset) -> int:
    return int(item.size or 0) * item.dtype.itemsize
