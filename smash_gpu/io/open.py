"""Opens an h5ad file or a zarr store as AnnData; large matrices stay on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import zarr

from smash_gpu.errors import NotFoundError, warn
from smash_gpu.io import integrity, matrices
from smash_gpu.io.kinds import know_codecs, undecodable, what_it_is
from smash_gpu.io.lazy import LAYERS, MAIN, RAW, OnDisk
from smash_gpu.io.stack import Stack
from smash_gpu.io.strings import make_writable
from smash_gpu.io.visit import require_sound
from smash_gpu.runtime import memory
from smash_gpu.runtime.paths import require_path

BYTES_IN_MEMORY = 2**30
SHARE_IN_MEMORY = 0.125  # of the memory that may be used
MATRICES = ("array", "csr_matrix", "csc_matrix")  # the encoding types of ``X`` and layers in AnnData


@dataclass(frozen=True)
class Format:
    """A kind of file, or of folder.

    Attributes
    ----------
    name
        Its name in messages, with an article.
    read
        A function from the path and the only matrix needed (see `open_file`) to annotated cells. They are in memory,
        or `smash_gpu.io.lazy.OnDisk` if the format itself leaves matrices on disk.
    root
        A function from the path to the group with the elements of an AnnData, from which HDF5 or zarr matrices can be
        left on disk. None: ``read`` is also used for large files.
    """

    name: str
    read: Callable[[Path, str | None], ad.AnnData]
    root: Callable[[Path], Any] | None = None


def open_file(path: str | Path, *, lazily: bool | None = None, used: str | None = None) -> ad.AnnData:
    """An h5ad file or a zarr store as AnnData.

    Parameters
    ----------
    path
        The file, or the folder of the store.
    lazily
        Leave ``X``, layers and ``raw`` on disk. None: if they need more than 1 GiB, or more than an eighth of the
        memory that may be used. ``obs``, ``var``, ``uns`` and ``varm`` are always read completely; ``obsm``, ``obsp``
        and ``varp`` of lazily read data are left out.
    used
        The only matrix that is needed: "X", "raw/X", or "layers/" and a name. Missing zarr chunks of another matrix
        are then a warning, not an error. None: all are needed.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is neither h5ad nor zarr; the message names its kind, if recognised.
    OSError
        If too many files are open.
    """
    path = local_path(path)
    require_path(path)
    require_sound(path)
    lazily = is_large([path]) if lazily is None else lazily
    kind = format_of(path)
    try:
        found = _lazily(path, kind.root(path)) if lazily and kind.root else kind.read(path, used)
        make_writable(found)
        return found
    except Exception as error:
        integrity.require_handles(error, path)
        raise ValueError(
            f"{path} cannot be read as {kind.name} of annotated cells ({type(error).__name__}: {error}). "
            f"{what_it_is(path)}"
        ) from error


def local_path(path: str | Path) -> Path:
    """A path with ``~`` in place.

    Raises
    ------
    ValueError
        For a URL.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):  # a ``Path`` has lost one slash
        raise ValueError(f"{path} is a URL, and files are read from disk: download it first.")
    return Path(path).expanduser()


def is_large(paths: Iterable[Path]) -> bool:
    """Whether ``X``, layers and ``raw`` of all files and stores together need too much memory."""
    return sum(map(_unpacked_bytes, paths)) > min(BYTES_IN_MEMORY, SHARE_IN_MEMORY * memory.room())


def _unpacked_bytes(path: Path) -> int:
    kind = format_of(path)
    if kind.root is None:
        return 0
    try:
        elements = _elements(kind.root(path)).values()
        return sum(matrices.unpacked_bytes(matrices.opened(element)) for element in elements)
    except Exception:  # noqa: BLE001  the error is reported when the file is opened
        return 0


def _elements(root: Any) -> dict[str, Any]:
    """``X``, ``raw.X`` and the layers of an AnnData, by the names of `smash_gpu.io.lazy`."""
    names = [MAIN, RAW, *(LAYERS + name for name in root.get("layers", ()))]
    return {name: root[name] for name in names if name in root}


def _read_h5ad(path: Path, used: str | None) -> ad.AnnData:
    know_codecs(path)
    return ad.read_h5ad(path)


def _h5ad_root(path: Path) -> h5py.File:
    require_sound(path)
    know_codecs(path)
    return h5py.File(path, "r")


def _read_zarr(path: Path, used: str | None) -> ad.AnnData:
    for name, element in _elements(_zarr_root(path)).items():
        if element.attrs.get("encoding-type", "array") in MATRICES:
            _require_whole(element, is_used=used in (None, name))
    return ad.read_zarr(path)


def _zarr_root(path: Path) -> zarr.Group:
    require_sound(path)
    return zarr.open_group(path, mode="r")


def _require_whole(element: Any, *, is_used: bool) -> None:
    try:
        integrity.require_whole(matrices.opened(element))
    except ValueError as error:
        if is_used:
            raise
        warn(f"{error} It is not used here.")


FILE, FOLDER = "*", "*/"  # any file or folder whose suffix is not in FORMATS
FORMATS = {
    FILE: Format("an h5ad file", _read_h5ad, _h5ad_root),
    FOLDER: Format("a zarr store", _read_zarr, _zarr_root),
}


def format_of(path: Path) -> Format:
    """The format of a path, by its suffix, else `FILE` or `FOLDER`."""
    return FORMATS.get(path.suffix.lower()) or FORMATS[FOLDER if path.is_dir() else FILE]


def _lazily(path: Path, root: Any) -> ad.AnnData:
    if hasattr(root.get("obs"), "dtype"):
        return ad.read_h5ad(path, backed="r")  # record arrays, as written by anndata before 0.7
    if "X" not in root and "layers" not in root and "raw" not in root:
        raise NotFoundError("it has neither X nor layers nor raw")
    parts = {name: ad.io.read_elem(root[name]) for name in ("obs", "var", "uns", "varm") if name in root}
    found = {name: _stack(element) for name, element in _elements(root).items()}
    raw = {name: ad.io.read_elem(root["raw"][name]) for name in ("var", "varm") if RAW in found and name in root["raw"]}
    return OnDisk(found, places=[path], raw=raw, **parts)


def _stack(element: Any) -> Stack:
    matrix = matrices.opened(element)
    lacking = undecodable(matrix)
    if lacking:
        raise OSError(f"{element.name} is compressed with {' and '.join(sorted(lacking))}")
    return Stack([matrix], [None])
