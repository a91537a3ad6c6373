"""The files behind a matrix that is left on disk: which they are, whether they are whole, whether they have changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from errno import EMFILE
from itertools import product
from math import ceil
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import numpy as np
import zarr

from smash_gpu.errors import ChangedError
from smash_gpu.io.matrices import arrays, folder_of, parts, places

Files = Mapping[Path, tuple[int, int]]
LISTED = 3
BLOSC_HEAD = 16  # bytes; the last four say how long the chunk is


def files(where: Iterable[Path]) -> Files:
    """Size (bytes) and time of the last change (ns) of every file at these places, in order."""
    found = {}
    for place in where:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            with suppress(FileNotFoundError):
                status = path.stat()
                if not S_ISDIR(status.st_mode):
                    found[path] = status.st_size, status.st_mtime_ns
    return found


def require_unchanged(where: Iterable[Path], before: Files) -> None:
    """Compare the files with what they were.

    Raises
    ------
    ChangedError
        If one was changed, added or removed.
    """
    now = files(where)
    changed = [path for path in sorted({*now, *before}) if now.get(path) != before.get(path)]
    if changed:
        named = ", ".join(map(str, changed[:LISTED])) + (f" and {len(changed) - LISTED} more" * (len(changed) > LISTED))
        raise ChangedError(
            f"{named} changed while it was read ({_difference(before.get(changed[0]), now.get(changed[0]))}): its "
            "results are not kept. Start again when nothing writes to it; what was finished before is still there."
        )


def require_whole(X: Any) -> None:
    """Look for chunks that a zarr store lacks, which zarr reads as zeros, or Blosc has the end of only, which it does
    not see.

    zarr leaves out chunks that hold zeros only. Those of a dense matrix may be missing by right, and those of stored
    values, which can be explicit zeros: a warning says that they are. A chunk of column numbers can hold zeros only
    where no cell has more than one entry in it, all in the first column.

    Raises
    ------
    ValueError
        If a chunk of column numbers is missing that cannot be zeros only, a chunk of any kind is empty or cut short, or
        the offsets of the cells do not fit the values.
    """
    for part in parts(X):
        _require_whole(part)


def telling(X: Any, read: Callable[[slice], Any]) -> Callable[[slice], Any]:
    """``read``, from cells to their rows, such that its errors name the file and the cells."""
    if not arrays(X):
        return read

    def told(cut: slice) -> Any:
        try:
            return read(cut)
        except MemoryError:
            raise
        except Exception as error:
            path = places(X)[0]
            require_handles(error, path)
            raise OSError(
                f"cells {cut.start:,} to {cut.stop - 1:,} of {path} cannot be read ({type(error).__name__}: {error}): "
                "the file is damaged, or not whole. Copy it again."
            ) from error

    return told


def require_handles(error: BaseException, path: Path) -> None:
    """Tell the ``error`` of a file that cannot be opened beside all that are open from that of a damaged one.

    Raises
    ------
    OSError
        If there were too many.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) == EMFILE:
            raise OSError(
                EMFILE, f"{path} cannot be opened, since too many files are open: raise their number, ulimit -n 65536."
            ) from error
        cause = cause.__cause__ or cause.__context__


def _require_whole(X: Any) -> None:
    found = {name: array for name, array in arrays(X).items() if isinstance(array, zarr.Array)}
    absent = {}
    for name, array in found.items():
        grid = list(_grid(array))
        absent[name] = [cell for cell in grid if not _chunk(array, cell).is_file()]
        lost = [c for c in absent[name] if name.endswith("indices") and not _can_be_zeros(c, name, found)]
        lost += [cell for cell in grid if _is_cut(array, cell)]
        if lost:
            first = _chunk(array, lost[0]).relative_to(folder_of(array))
            raise ValueError(
                f"{folder_of(array)} lacks {len(lost):,} of its {len(grid):,} chunks, or parts of them "
                f"({first} first): it is damaged or was copied in part. Copy the store again."
            )
    _check_offsets(X, found)
    for name, array in found.items():
        if absent[name] and not name.endswith(("indices", "indptr")):
            few = f"{folder_of(array)} lacks {len(absent[name]):,} of its {len(list(_grid(array))):,} chunks"
            warnings.warn(f"{few}: they are read as zeros, which zarr does not store.", stacklevel=4)


def _sides(array: zarr.Array) -> tuple[int, ...]:
    """Shape of what one file holds: a shard, or a chunk where there are none."""
    return array.shards or array.chunks


def _grid(array: zarr.Array) -> Iterator[tuple[int, ...]]:
    return product(*(range(ceil(n / side)) for n, side in zip(array.shape, _sides(array), strict=True)))


def _chunk(array: zarr.Array, cell: tuple[int, ...]) -> Path:
    return folder_of(array) / array.metadata.encode_chunk_key(cell)


def _is_cut(array: zarr.Array, cell: tuple[int, ...]) -> bool:
    """Whether a chunk is empty, or shorter than Blosc says in its head; Blosc itself reads on behind the end."""
    path = _chunk(array, cell)
    if not path.is_file() or not path.stat().st_size:
        return path.is_file()
    if array.shards or not array.compressors or "Blosc" not in type(array.compressors[-1]).__name__:
        return False
    with path.open("rb") as file:
        head = file.read(BLOSC_HEAD)
    return len(head) < BLOSC_HEAD or int.from_bytes(head[-4:], "little") != path.stat().st_size


def _can_be_zeros(cell: tuple[int, ...], name: str, found: Mapping[str, zarr.Array]) -> bool:
    """Whether a chunk of column numbers can hold zeros only: if every entry is in another row."""
    offsets = next(array for other, array in found.items() if other.endswith("indptr"))[:]
    size, length = _sides(found[name])[0], found[name].shape[0]
    first, last = cell[0] * size, min((cell[0] + 1) * size, length) - 1
    rows = np.searchsorted(offsets, [first, last], side="right")
    return rows[1] - rows[0] == last - first


def _check_offsets(X: Any, found: Mapping[str, zarr.Array]) -> None:
    """A missing chunk of offsets makes them fall, or a row longer than it can be."""
    for name, array in found.items():
        if name.endswith("indptr"):
            lengths = np.diff(array[:])
            longest = X.shape[1] if X.format == "csr" else X.shape[0]
            if (lengths < 0).any() or (lengths > longest).any() or array[-1] != X.group["data"].shape[0]:
                raise ValueError(f"{folder_of(array)} does not fit the values beside it: the store is damaged.")


def _difference(before: tuple[int, int] | None, now: tuple[int, int] | None) -> str:
    if before is None or now is None:
        return "it was not there before" if before is None else "it is not there any more"
    if before[0] != now[0]:
        return f"{before[0]:,} bytes before, {now[0]:,} now"
    return f"written {datetime.fromtimestamp(now[1] / 1e9):%H:%M:%S}"
