"""Visits a file in a child process first: HDF5 and zarr can crash, hang or fill the memory on a damaged one."""

from __future__ import annotations

import faulthandler
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
import psutil
import zarr

PROCESSOR_SECONDS_PER_OBJECT = 4.0  # more than any object needs: the library does not come back
SECONDS = 6.0  # of a visit, before the last object begins
SECONDS_AT_MOST = 60.0  # then a visit waits for something else, such as a disk: nothing is known of the file
BYTES_READ = 2**24  # of small arrays, such as labels
BYTES_MORE = 2**31  # of memory that a visit may use
BYTES_PER_STORED_BYTE = 2**11  # gzip packs zeros about a thousand times
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin"  # where libraries of the system do not survive a fork


def require_sound(path: Path) -> None:
    """Check that the structure of a file or store, its attributes and small arrays can be read.

    Errors that HDF5 or zarr report are left to the reader. Nothing is checked where Python cannot fork, and what was
    checked is not checked again until it changes.

    Raises
    ------
    ValueError
        If the library crashes, hangs or runs out of memory, or an array claims to be far larger than the file.
    """
    if CAN_FORK:
        status = path.stat()
        problem = _problem(path, status.st_size, status.st_mtime_ns)
        if problem:
            raise ValueError(f"{path} is damaged: {problem}. Copy or create it again.")


@cache
def _problem(path: Path, size: int, modified: int) -> str:
    """What is wrong with the file, or nothing."""
    if path.is_dir():
        return _in_a_child(lambda say: _visit_zarr(path, say))
    return _in_a_child(lambda say: _visit_hdf5(path, size, say)) if _is_hdf5(path) else ""


def _in_a_child(visit: Callable[[Callable[[str], Any]], None]) -> str:
    """What a child process says is wrong, or how it ended."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        _live(lambda: visit(lambda text: os.write(writing, text.encode())))
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what HDF5 prints
        faulthandler.disable()  # a crash here is said by the parent
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        import resource  # where there is fork

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + BYTES_MORE, most))
        _begin_object()
        life()
    os._exit(0)


def _begin_object() -> None:
    """End this process by SIGPROF unless the next object begins in time.

    Processor time, since a busy machine or a slow disk is no damage.
    """
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS_PER_OBJECT)


def _watched(child: int, reading: int) -> str:
    """What the child says is wrong, or its end."""
    has_ended, _, _ = select.select([reading], [], [], SECONDS_AT_MOST)
    said = os.read(reading, 2**16) if has_ended else b""
    if not has_ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not has_ended or not os.WIFSIGNALED(status):
        return said.decode()
    if os.WTERMSIG(status) == signal.SIGPROF:
        return "reading its structure does not end"
    return f"reading its structure ends in a crash ({signal.Signals(os.WTERMSIG(status)).name})"


def _visit_hdf5(path: Path, size: int, say: Callable[[str], Any]) -> None:
    """Read what is small in a file."""
    left = BYTES_READ
    with h5py.File(path, "r") as file:
        for item in _for_a_while(_objects(file, set())):
            with suppress(Exception):  # the reader of the file reports it, if it needs this
                dict(item.attrs)
                n_bytes = _bytes_of(item)
                if n_bytes > BYTES_PER_STORED_BYTE * size:
                    say(f"{item.name} claims {n_bytes:,} bytes in a file of {size:,}")
                    return
                if 0 < n_bytes <= left:
                    left -= n_bytes
                    item[()]


def _visit_zarr(path: Path, say: Callable[[str], Any]) -> None:
    """Read what is small in a store."""
    left = BYTES_READ
    for item in _for_a_while(_inside(zarr.open_group(path, mode="r"), set())):
        with suppress(Exception):
            n_bytes = _bytes_of(item)
            if 0 < n_bytes <= left:
                left -= n_bytes
                try:
                    item[...]
                except MemoryError:
                    say(f"{item.name} does not fit into memory, though it should be {n_bytes:,} bytes")
                    return


def _for_a_while(objects: Iterator[Any]) -> Iterator[Any]:
    """Each object with its own processor time; what is left of a very large structure is not visited."""
    end = time.monotonic() + SECONDS
    for item in objects:
        if time.monotonic() > end:
            return
        _begin_object()
        yield item


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


@_inside.register(zarr.Group)
def _(item: Any, seen: set[Any]) -> Iterator[Any]:
    yield item
    for _, inner in item.members():
        yield from _inside(inner, seen)


@singledispatch
def _bytes_of(item: Any) -> int:
    """Bytes of an array in memory; 0 for anything else."""
    return 0


@_bytes_of.register(h5py.Dataset)
@_bytes_of.register(zarr.Array)
def _(item: Any) -> int:
    return int(item.size or 0) * item.dtype.itemsize
