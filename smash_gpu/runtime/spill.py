"""Expression that does not fit into memory: a matrix in a temporary file, read and written a few rows at a time."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from smash_gpu.compute.xp import to_host

BYTES_AT_ONCE = 32 * 2**20
LARGE_FILES = Path("/var/tmp")  # noqa: S108  a disk, where /tmp may be memory
WAY_OUT = "Pass max_cells=, narrow the candidates, or set TMPDIR to a folder with more room."


class Scratch(AbstractContextManager):
    """A float32 matrix in a file without a name: no other program sees it, and it is gone when the program ends.

    ``X[rows]`` is a NumPy array, and ``X[rows] = values`` writes one, for a slice or an array of row numbers. The file
    is mapped for `BYTES_AT_ONCE` at a time, so that little of it counts as memory of the process.

    Raises
    ------
    OSError
        If the disk has no room; all of it is reserved at once.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.nbytes = shape[0] * shape[1] * self.dtype.itemsize
        self._rows_at_once = max(1, BYTES_AT_ONCE // (shape[1] * self.dtype.itemsize))
        purpose = f"the expression of {shape[0]:,} cells × {shape[1]:,} genes"
        self._file = _reserved(need_disk(self.nbytes, purpose), self.nbytes)

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        rows = self._numbers(rows)
        found = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        for start in range(0, len(rows), self._rows_at_once):
            part = slice(start, start + self._rows_at_once)
            np.take(self._mapped("r"), rows[part], axis=0, out=found[part], mode="clip")
        return found

    def __setitem__(self, rows: slice | np.ndarray, values: Any) -> None:
        rows = self._numbers(rows)
        values = np.broadcast_to(to_host(values), (len(rows), self.shape[1]))
        for start in range(0, len(rows), self._rows_at_once):
            part = slice(start, start + self._rows_at_once)
            self._mapped("r+")[rows[part]] = values[part]

    def _numbers(self, rows: slice | np.ndarray) -> np.ndarray:
        return np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)

    def _mapped(self, mode: Literal["r", "r+"]) -> np.ndarray:
        return np.memmap(self._file, dtype=self.dtype, mode=mode, shape=self.shape)


def folder() -> Path:
    """Where large temporary files go: ``TMPDIR`` if it is set, else /var/tmp, else the default of Python."""
    if "TMPDIR" not in os.environ and os.access(LARGE_FILES, os.W_OK):
        return LARGE_FILES
    return Path(tempfile.gettempdir())


def need_disk(n_bytes: int, purpose: str) -> Path:
    """The `folder`, if ``n_bytes`` are free there.

    Raises
    ------
    OSError
        If not; the message has both numbers, the folder and what to do.
    """
    where = folder()
    free = shutil.disk_usage(where).free
    if free < n_bytes:
        raise OSError(
            f"not enough disk space in {where} for {purpose} (needs {n_bytes / 1e9:,.2f} GB, {free / 1e9:,.2f} GB "
            f"free). {WAY_OUT}"
        )
    return where


def _reserved(where: Path, n_bytes: int) -> IO[bytes]:
    """A file without a name, with all of its disk space reserved: a full disk under a mapped file ends the program."""
    file = tempfile.TemporaryFile(prefix="smash-gpu-", dir=where)  # noqa: SIM115  closed by `Scratch`
    try:
        os.posix_fallocate(file.fileno(), 0, n_bytes)
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            file.close()
            raise OSError(f"the disk of {where} is full (needs {n_bytes / 1e9:,.2f} GB). {WAY_OUT}") from error
        file.truncate(n_bytes)
    return file
