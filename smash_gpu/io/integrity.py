"""Checks of the files behind a matrix on disk: whether they are complete and unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from errno import EMFILE
from functools import singledispatch
from itertools import product
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import numpy as np
import zarr

from smash_gpu.errors import ChangedError, warn
from smash_gpu.io.matrices import arrays, layout, n_values, parts, place, places

Files = Mapping[Path, tuple[int, int]]
Chunk = tuple[int, ...]
LISTED = 3
BLOSC_HEAD = 16  # bytes; the last four hold the length of the chunk


def files(where: Iterable[Path]) -> Files:
    """Size (bytes) and modification time (ns) of every file at these paths, sorted."""
    found = {}
    for top in where:
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            with suppress(FileNotFoundError):
                status = path.stat()
                if not S_ISDIR(status.st_mode):
                    found[path] = status.st_size, status.st_mtime_ns
    return found


def require_unchanged(where: Iterable[Path], before: Files) -> None:
    """Check that the files are the same as ``before``.

    Raises
    ------
    ChangedError
        If a file was changed, added or removed.
    """
    now = files(where)
    changed = [path for path in sorted({*now, *before}) if now.get(path) != before.get(path)]
    if changed:
        named = ", ".join(map(str, changed[:LISTED])) + (f" and {len(changed) - LISTED} more" * (len(changed) > LISTED))
        raise ChangedError(
            f"{named} changed while it was read ({_difference(before.get(changed[0]), now.get(changed[0]))}), so these "
            "results are not kept. Run again when nothing writes to the file; stages finished earlier are still valid."
        )


def require_whole(X: Any) -> None:
    """Check a zarr store for missing chunks, which zarr reads as zeros, and cut chunks, which Blosc does not detect.

    zarr does not store chunks that hold only zeros. So a chunk of a dense matrix or of stored values (explicit zeros)
    may be missing legitimately, which is a warning. A chunk of column numbers can hold only zeros if every entry in it
    is in another cell, and all are in the first column.

    Raises
    ------
    ValueError
        If a chunk of column numbers that cannot be all zeros is missing, any chunk is empty or cut short, or the cell
        offsets do not fit the values.
    """
    for part in parts(X):
        _require_whole(part)


def naming_errors(X: Any, read: Callable[[slice], Any]) -> Callable[[slice], Any]:
    """``read`` (from cells to their rows) with errors that name the file and the cells."""
    if not arrays(X):
        return read

    def named(cut: slice) -> Any:
        try:
            return read(cut)
        except MemoryError:
            raise
        except Exception as error:
            path = places(X)[0]
            require_handles(error, path)
            raise OSError(
                f"cells {cut.start:,} to {cut.stop - 1:,} of {path} cannot be read ({type(error).__name__}: {error}): "
                "the file is damaged or incomplete. Copy it again."
            ) from error

    return named


def require_handles(error: BaseException, path: Path) -> None:
    """Raise a clear error if ``error`` comes from too many open files, not from a damaged file.

    Raises
    ------
    OSError
        If too many files are open.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) == EMFILE:
            raise OSError(
                EMFILE, f"{path} cannot be opened; too many files are open: raise the limit with ulimit -n 65536."
            ) from error
        cause = cause.__cause__ or cause.__context__


def _require_whole(X: Any) -> None:
    offsets = np.empty(0)
    for name, array in sorted(arrays(X).items(), reverse=True):  # indptr, indices, data
        chunks = chunks_of(array)
        absent = [chunk for chunk, (_, size) in chunks.items() if size is None]
        lost = [chunk for chunk, (path, size) in chunks.items() if size is not None and _is_cut(array, path, size)]
        if name.endswith("indices"):
            lost += [chunk for chunk in absent if not _can_be_zeros(array, chunk, offsets)]
        if lost:
            raise ValueError(
                f"{place(array)} lacks {len(lost):,} of its {len(chunks):,} chunks, or parts of them "
                f"({array.metadata.encode_chunk_key(lost[0])} first): it is damaged or incomplete. "
                "Copy the store again."
            )
        if name.endswith("indptr") and chunks:
            offsets = _checked_offsets(X, array)
        elif absent and not name.endswith("indices"):
            few = f"{place(array)} lacks {len(absent):,} of its {len(chunks):,} chunks"
            warn(f"{few}: they are read as zeros, because zarr does not store chunks of zeros.")


@singledispatch
def chunks_of(array: Any) -> dict[Chunk, tuple[Path, int | None]]:
    """File and size in bytes of every chunk, by its number along each axis; size None if the file is missing.

    Empty for HDF5, which reports missing data when reading, and for stores that are not local.
    """
    return {}


@chunks_of.register
def _(array: zarr.Array) -> dict[Chunk, tuple[Path, int | None]]:
    folder = place(array)
    if folder is None:
        return {}
    sizes = {path: size for path, (size, _) in files([folder]).items()}
    sides = array.shards or array.chunks
    grid = product(*(range(-(-n // side)) for n, side in zip(array.shape, sides, strict=True)))
    return {c: (path := folder / array.metadata.encode_chunk_key(c), sizes.get(path)) for c in grid}


def _is_cut(array: zarr.Array, path: Path, size: int) -> bool:
    """Whether a chunk is empty, or shorter than its Blosc header says; Blosc itself reads past the end."""
    if not size or array.shards or not array.compressors or "Blosc" not in type(array.compressors[-1]).__name__:
        return not size
    with path.open("rb") as file:
        head = file.read(BLOSC_HEAD)
    return len(head) < BLOSC_HEAD or int.from_bytes(head[-4:], "little") != size


def _checked_offsets(X: Any, array: zarr.Array) -> np.ndarray:
    """All cell offsets, checked: a missing chunk makes them decrease, or makes a row too long."""
    offsets = np.asarray(array[:])
    lengths, longest = np.diff(offsets), X.shape[1] if layout(X) == "csr" else X.shape[0]
    if (lengths < 0).any() or (lengths > longest).any() or offsets[-1] != n_values(X):
        raise ValueError(f"{place(array)} does not fit the stored values: the store is damaged. Copy it again.")
    return offsets


def _can_be_zeros(array: zarr.Array, chunk: Chunk, offsets: np.ndarray) -> bool:
    """Whether a chunk of column numbers can be all zeros: only if every entry is in another row."""
    size = (array.shards or array.chunks)[0]
    first, last = chunk[0] * size, min((chunk[0] + 1) * size, array.shape[0]) - 1
    rows = np.searchsorted(offsets, [first, last], side="right")
    return rows[1] - rows[0] == last - first


def _difference(before: tuple[int, int] | None, now: tuple[int, int] | None) -> str:
    if before is None or now is None:
        return "it did not exist before" if before is None else "it no longer exists"
    if before[0] != now[0]:
        return f"{before[0]:,} bytes before, {now[0]:,} now"
    return f"written {datetime.fromtimestamp(now[1] / 1e9):%H:%M:%S}"
