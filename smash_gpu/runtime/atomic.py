"""Files that are there as a whole or not at all, whenever the program that writes them ends.

A file is written in a partial folder beside its place, and put there in one step when all of it is on the disk. The
folder is locked by its writer; the system gives up a lock when its process ends, however that ends, so that what is not
locked is a leftover. Process numbers would not tell: those of containers and of other machines are others.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows: leftovers stay, since nothing tells whether they are held
    fcntl = None

PARTIAL = ".part"
SECONDS_TO_LOCK = 60


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write the file ``path``, which is there after the block if that ends well; the folder is for it alone.

    Several processes may write the same file at once: the last one's stays.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex}{PARTIAL}")
    partial.mkdir()
    try:
        held = lock(partial)
        try:
            yield partial / path.name
            _flush(partial / path.name)
            (partial / path.name).replace(path)
            with suppress(OSError):  # not every file system can do that to a folder
                _flush(path.parent)
        finally:
            os.close(held)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def lock(folder: Path) -> int:
    """Hold a partial folder until the number that is returned is closed, or the program ends, however it does."""
    if fcntl is None:
        return os.open(os.devnull, os.O_RDONLY)
    number = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # not every file system has locks
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return number


def remove_leftovers(folder: Path, names: str = ".*") -> None:
    """Remove partial folders that nobody holds any more, of those with such ``names``."""
    for partial in folder.glob(f"{names}{PARTIAL}") if fcntl else ():
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > SECONDS_TO_LOCK:
                with _opened(partial) as number:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until the file, or the list of a folder's files, is on the disk."""
    with _opened(path) as number:
        os.fsync(number)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        yield number
    finally:
        os.close(number)
