"""The files behind a matrix that is left on disk: which they are, whether they are whole, whether they have changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset

Files = Mapping[Path, tuple[int, int]]
LISTED = 3


class ChangedError(RuntimeError):
    """A file was changed while it was read; the message says which."""


def arrays(X: Any) -> dict[str, Any]:
    """The HDF5 or zarr arrays that hold the matrix, by name; empty if it does not lie in local files of its own.

    HDF5's virtual and external data sets and stores elsewhere than in a folder count as not of its own.
    """
    if isinstance(X, CSRDataset | CSCDataset):
        found = {f"{X.format} {name}": X.group[name] for name in ("data", "indices", "indptr")}
    else:
        found = {"dense": X} if isinstance(X, h5py.Dataset | zarr.Array) else {}
    return found if all(_is_local(array) for array in found.values()) else {}


def parts(X: Any) -> tuple:
    """The matrices of a stack; the matrix itself if it is none."""
    return tuple(getattr(X, "matrices", (X,)))


def files(X: Any) -> Files:
    """Size (bytes) and time of the last change (ns) of every file that holds a part of the matrix, in order.

    Raises
    ------
    FileNotFoundError
        If one is no longer there.
    """
    paths = {path for part in parts(X) for array in arrays(part).values() for path in _files_of(array)}
    return {path: ((status := path.stat()).st_size, status.st_mtime_ns) for path in sorted(paths)}


def require_unchanged(X: Any, before: Files) -> None:
    """Compare the files with what they were.

    Raises
    ------
    ChangedError
        If one was changed, added or removed.
    """
    try:
        now = files(X)
    except FileNotFoundError as error:
        raise ChangedError(f"{error.filename} was removed while it was read: its results are not kept.") from error
    changed = [path for path in sorted({*now, *before}) if now.get(path) != before.get(path)]
    if changed:
        named = ", ".join(map(str, changed[:LISTED])) + (f" and {len(changed) - LISTED} more" * (len(changed) > LISTED))
        raise ChangedError(
            f"{named} changed while it was read ({_difference(before.get(changed[0]), now.get(changed[0]))}): its "
            "results are not kept. Start again when nothing writes to it; what was finished before is still there."
        )


def require_whole(X: Any) -> None:
    """Look for chunks that a zarr store lacks: zarr reads them as zeros.

    zarr leaves out chunks that hold zeros only. Of stored values and their columns there are none such, but for a chunk
    of column numbers with no more than one entry a cell, all in the first column.

    Raises
    ------
    ValueError
        If one is missing or empty.
    """
    for part in parts(X):
        _require_whole(part)


def telling(X: Any, read: Callable[[slice], Any]) -> Callable[[slice], Any]:
    """``read``, from cells to their rows, such that its errors name the file and the cells."""
    found = arrays(X)
    if not found:
        return read

    def told(cut: slice) -> Any:
        try:
            return read(cut)
        except MemoryError:
            raise
        except Exception as error:
            array = next(iter(found.values()))
            path = array.file.filename if isinstance(array, h5py.Dataset) else _folder(array)
            raise OSError(
                f"cells {cut.start:,} to {cut.stop - 1:,} of {path} cannot be read ({type(error).__name__}: {error}): "
                "the file is damaged, or not whole. Copy it again."
            ) from error

    return told


def _require_whole(X: Any) -> None:
    found = {name: array for name, array in arrays(X).items() if isinstance(array, zarr.Array)}
    for name, array in found.items():
        lost = [cell for cell in _grid(array) if not _is_there(_chunk(array, cell))]
        if name.endswith("indices"):
            lost = [cell for cell in lost if not _may_be_zero(array, cell, found)]
        lacking = f"{_folder(array)} lacks {len(lost):,} of its {len(list(_grid(array))):,} chunks"
        if lost and name == "dense":
            warnings.warn(f"{lacking}: they are read as zeros, which zarr does not store.", stacklevel=4)
        elif lost and not name.endswith("indptr"):
            first = _chunk(array, lost[0]).relative_to(_folder(array))
            raise ValueError(f"{lacking} ({first} first): it is damaged or was copied in part. Copy the store again.")
    _check_offsets(X, found)


def _is_local(array: Any) -> bool:
    if isinstance(array, h5py.Dataset):
        return not array.is_virtual and not array.external and Path(array.file.filename).is_file()
    return isinstance(array.store_path.store, zarr.storage.LocalStore)


def _files_of(array: Any) -> Iterator[Path]:
    if isinstance(array, h5py.Dataset):
        yield Path(array.file.filename).absolute()
    else:
        yield from (path for path in _folder(array).rglob("*") if path.is_file())


def _folder(array: zarr.Array) -> Path:
    return Path(array.store_path.store.root).absolute() / array.store_path.path


def _sides(array: zarr.Array) -> tuple[int, ...]:
    """Shape of what one file holds: a shard, or a chunk where there are none."""
    return array.shards or array.chunks


def _grid(array: zarr.Array) -> Iterator[tuple[int, ...]]:
    return product(*(range(ceil(n / side)) for n, side in zip(array.shape, _sides(array), strict=True)))


def _chunk(array: zarr.Array, cell: tuple[int, ...]) -> Path:
    return _folder(array) / array.metadata.encode_chunk_key(cell)


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _may_be_zero(indices: zarr.Array, cell: tuple[int, ...], found: Mapping[str, zarr.Array]) -> bool:
    """Whether the entries of a chunk can all be in the first column: every one in another row."""
    offsets = next(array for name, array in found.items() if name.endswith("indptr"))[:]
    first = cell[0] * _sides(indices)[0]
    last = min(first + _sides(indices)[0], indices.shape[0]) - 1
    rows = np.searchsorted(offsets, [first, last], side="right")
    return rows[1] - rows[0] == last - first


def _check_offsets(X: Any, found: Mapping[str, zarr.Array]) -> None:
    """A missing chunk of offsets makes them fall, or a row longer than it can be."""
    for name, array in found.items():
        if name.endswith("indptr"):
            lengths = np.diff(array[:])
            longest = X.shape[1] if X.format == "csr" else X.shape[0]
            if (lengths < 0).any() or (lengths > longest).any() or array[-1] != X.group["data"].shape[0]:
                raise ValueError(f"{_folder(array)} does not fit the values beside it: the store is damaged.")


def _difference(before: tuple[int, int] | None, now: tuple[int, int] | None) -> str:
    if before is None or now is None:
        return "it was not there before" if before is None else "it is not there any more"
    if before[0] != now[0]:
        return f"{before[0]:,} bytes before, {now[0]:,} now"
    return f"written {datetime.fromtimestamp(now[1] / 1e9):%H:%M:%S}"
