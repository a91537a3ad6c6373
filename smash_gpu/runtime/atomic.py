"""Files that exist whole or not at all, at any moment at which the program may end.

A file is written in a partial folder next to its place, and moved there in one step when all of it is on the disk. The
writer locks the folder. The system releases a lock when its process ends, however that ends, so an unlocked folder is a
leftover. Process numbers would not show that: containers and other machines have their own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    import fcntl
except ImportError:  # Windows: leftovers stay, since nothing shows whether they are in use
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".part"
SECONDS_TO_LOCK = 60


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write the file ``path``, alone in a folder; it is moved to ``path`` after the block if that ends well.

    Several processes may write the same file at once: the last one to finish wins.
    """
    with TemporaryDirectory(PARTIAL, f".{path.name}.", path.parent, ignore_cleanup_errors=True) as folder:
        partial, held = Path(folder, path.name), lock(Path(folder))
        try:
            yield partial
            _flush(partial)
            partial.replace(path)
            with suppress(OSError):  # not every file system can flush a folder
                _flush(path.parent)
        finally:
            os.close(held)


def lock(folder: Path) -> int:
    """Lock a partial folder until the returned file descriptor is closed, or the program ends in any way."""
    if fcntl is None:
        return os.open(os.devnull, os.O_RDONLY)
    number = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # not every file system has locks
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return number


def remove_leftovers(folder: Path, names: str = ".*") -> None:
    """Remove the partial folders with such ``names`` that no process holds any more."""
    for partial in folder.glob(f"{names}{PARTIAL}") if fcntl else ():
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > SECONDS_TO_LOCK:
                _remove_unlocked(partial)


def _remove_unlocked(partial: Path) -> None:
    number = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(number)


def _flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk."""
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
