"""AnnData from an h5ad file or a zarr store; large matrices stay on disk."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import zarr

from smash_gpu.io import integrity
from smash_gpu.io.kinds import know_codecs, undecodable, what_it_is
from smash_gpu.io.lazy import Held, OnDisk, matrix_of
from smash_gpu.io.stack import Stack
from smash_gpu.runtime import memory
from smash_gpu.runtime.words import did_you_mean

__all__ = ["BYTES_IN_MEMORY", "Held", "OnDisk", "did_you_mean", "is_large", "matrix_of", "open_file"]
BYTES_IN_MEMORY = 2**30
SHARE_IN_MEMORY = 0.125  # of the room
SPARSE = ("csr_matrix", "csc_matrix")


def open_file(path: str | Path, *, lazily: bool | None = None, used: str | None = None) -> ad.AnnData:
    """An h5ad file or a zarr store as AnnData.

    Parameters
    ----------
    path
        The file, or the folder of the store.
    lazily
        Leave ``X``, layers and ``raw`` on disk. None: if they would take more than 1 GiB of memory, or an eighth of
        what may be taken. ``obs``, ``var``, ``uns`` and ``varm`` are read whole in any case; ``obsm``, ``obsp`` and
        ``varp`` of lazily read data are left out.
    used
        The only matrix that is needed: "X", "raw/X", or "layers/" and a name. Where another one lacks chunks of a zarr
        store, that is a warning and no error. None: all are needed.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is neither h5ad nor zarr; the message says what it is, if that can be seen.
    OSError
        If too many files are open.
    """
    path = Path(path)
    if not path.exists():
        beside = [p.name for p in path.absolute().parent.glob("*")]
        raise FileNotFoundError(f"there is no file {path}." + did_you_mean(path.name, beside))
    lazily = is_large([path]) if lazily is None else lazily
    try:
        return _lazily(path) if lazily else _whole(path, used)
    except Exception as error:
        integrity.require_handles(error, path)
        raise ValueError(
            f"{path} cannot be read as {'a zarr store' if path.is_dir() else 'an h5ad file'} of annotated cells "
            f"({type(error).__name__}: {error}). {what_it_is(path)}"
        ) from error


def is_large(paths: Iterable[Path]) -> bool:
    """Whether ``X``, layers and ``raw`` of the files and stores would take too much memory together."""
    return sum(map(_unpacked_bytes, paths)) > min(BYTES_IN_MEMORY, SHARE_IN_MEMORY * memory.room())


def _unpacked_bytes(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(map(_size, _matrices(zarr.open_group(path, mode="r"))))
        with h5py.File(path, "r") as file:
            return sum(map(_size, _matrices(file)))
    except Exception:  # noqa: BLE001  what is wrong with it is said when it is opened
        return 0


def _matrices(root: Any) -> Iterator[Any]:
    yield from (root[name] for name in ("X", "raw/X") if name in root)
    yield from (root["layers"][name] for name in root.get("layers", ()))


def _size(element: Any) -> int:
    arrays = [element[name] for name in ("data", "indices")] if hasattr(element, "keys") else [element]
    return sum(array.nbytes for array in arrays)


def _whole(path: Path, used: str | None) -> ad.AnnData:
    if path.is_dir():
        for element in _matrices(zarr.open_group(path, mode="r")):
            if isinstance(element, zarr.Array) or element.attrs.get("encoding-type") in SPARSE:
                _require_whole(element, is_used=used in (None, element.path))
        return ad.read_zarr(path)
    know_codecs(path)
    return ad.read_h5ad(path)


def _require_whole(element: Any, *, is_used: bool) -> None:
    try:
        integrity.require_whole(ad.io.sparse_dataset(element) if isinstance(element, zarr.Group) else element)
    except ValueError as error:
        if is_used:
            raise
        warnings.warn(f"{error} It is not used here.", stacklevel=5)


def _lazily(path: Path) -> ad.AnnData:
    if path.is_dir():
        store = zarr.open_group(path, mode="r")
    else:
        know_codecs(path)
        store = h5py.File(path, "r")
        if isinstance(store["obs"], h5py.Dataset):
            return ad.read_h5ad(path, backed="r")  # as anndata wrote them before 0.7
    if "X" not in store and "layers" not in store and "raw" not in store:
        raise KeyError("it holds neither X nor layers nor raw")
    parts = {name: ad.io.read_elem(store[name]) for name in ("obs", "var", "uns", "varm") if name in store}
    raw = store["raw"] if "raw" in store and hasattr(store["raw"], "keys") else {}
    raw_parts = {name: ad.io.read_elem(raw[name]) for name in ("var", "varm") if name in raw}
    return OnDisk(
        Held(
            _stack(store["X"]) if "X" in store else None,
            {name: _stack(store["layers"][name]) for name in store.get("layers", ())},
            _stack(raw["X"]) if raw else None,
        ),
        places=[str(path)],
        raw=raw_parts,
        **parts,
    )


def _stack(element: Any) -> Stack:
    lacking = undecodable(element)
    if lacking:
        raise OSError(f"{element.name} is compressed with {' and '.join(sorted(lacking))}")
    return Stack([ad.io.sparse_dataset(element) if hasattr(element, "keys") else element], [None])
