"""A folder of finished stages, so that a run that was stopped goes on where it was.

A stage is a set of named arrays in one file, named after the stage and a hash of all that it depends on: the data, the
parameters, the versions of the packages. A file appears under its name in one step (`smash_gpu.runtime.atomic`).

joblib.Memory does much of this, but it keeps pickles (a foreign file could run code, a damaged one is not noticed),
does not flush them to the disk, knows arguments only by reading all their values, and its files have no readable names.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from smash_gpu.io import integrity, matrices
from smash_gpu.runtime import atomic, versions

FORMAT = 1  # of the files, and of what the stages hold
ABOUT, DATA = "about.json", "data.json"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
Stage = dict[str, np.ndarray]


@dataclass(frozen=True)
class Told:
    """A stage was ``found`` in a folder, or made and kept there now."""

    stage: str
    made: datetime
    found: bool


def _silent(told: Told) -> None:
    pass


@dataclass(frozen=True)
class Work:
    """Where finished stages are kept; without a folder nowhere.

    Attributes
    ----------
    folder
        May hold the stages of any number of data sets.
    tell
        Called for every stage that was found or kept.
    data
        Name of the data in notes, e.g. that of their file.
    within
        Name of the part of the data at hand, in the names of stages.
    """

    folder: Path | None = None
    tell: Callable[[Told], None] = _silent
    data: str = ""
    within: str = ""
    _places: tuple[Path, ...] = ()
    _files: integrity.Files = field(default_factory=dict)

    @classmethod
    def of(cls, work: Self | str | Path | None, data: str = "") -> Self:
        """A user's folder, ``Work`` or None, with a name for the data."""
        given = work if isinstance(work, cls) else cls(None if work is None else Path(work))
        return replace(given, data=given.data or data)

    def on(self, X: Any, fingerprint: Callable[[], str]) -> Self:
        """For stages that are made from the matrix ``X``, whose files must not change from now on.

        Parameters
        ----------
        fingerprint
            Called only if there is a folder.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        bound = replace(self, _places=(where := matrices.places(X)), _files=integrity.files(where))
        if self.folder is None:
            return bound
        named = fingerprint()
        bound._require_unchanged()
        folder = self.folder / named[:16]
        others = sorted(self.folder.glob(f"*/{DATA}"))
        if not folder.is_dir() and others:
            warnings.warn(_of_other_data(self.folder, others), stacklevel=3)
        folder.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(folder)
        _describe(folder / DATA, self.data, X.shape, where)
        return replace(bound, folder=folder)

    def kept(self, name: str, parameters: Mapping[str, Any] | None, compute: Callable[[], Mapping[str, Any]]) -> Stage:
        """What ``compute`` returns, from the folder if it is there.

        Parameters
        ----------
        name
            Of the stage, for people.
        parameters
            All that the stage depends on beside the data: plain values, arrays, lists and mappings of those. None if
            that cannot be put into a file: the stage is then not kept.
        compute
            Makes the stage: a mapping from names to arrays without objects, or numbers.

        Raises
        ------
        stores.ChangedError
            If a file of the data changed meanwhile.
        """
        if self.folder is None or parameters is None:
            return self._made(compute)
        about = {"stage": name, "format": FORMAT, "data": self.folder.name, "versions": versions.installed()}
        about = json.loads(json.dumps(about | {"parameters": parameters}, sort_keys=True, default=_plain))
        key = sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        told = f"{self.within}: {name}" if self.within else name
        path = self.folder / f"{re.sub('[^0-9A-Za-z]+', '-', told).strip('-')[:80]}-{key[:16]}.npz"
        self._require_unchanged()
        found = _load(path, about)
        if found is not None:
            stage, made = found
        else:
            stage, made = self._made(compute), datetime.now()
            if not _saved(path, stage, {"about": about, "made": made.isoformat(timespec="seconds")}):
                return stage
        self.tell(Told(told, made, found is not None))
        return stage

    def _made(self, compute: Callable[[], Mapping[str, Any]]) -> Stage:
        """What ``compute`` returns if no file of the data changed meanwhile."""
        self._require_unchanged()
        try:
            return {name: np.asarray(value) for name, value in compute().items()}
        finally:
            self._require_unchanged()

    def _require_unchanged(self) -> None:
        integrity.require_unchanged(self._places, self._files)


def _load(path: Path, about: Mapping[str, Any]) -> tuple[Stage, datetime] | None:
    """The stage and when it was made; None if it is not there, not whole, or another one."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            noted = json.loads(archive.read(ABOUT))
            if noted["about"] != about:
                raise ValueError("it holds another stage")
            stage = {name: _array(archive.read(f"{name}.npy")) for name in noted["arrays"]}  # compares checksums
        return stage, datetime.fromisoformat(noted["made"])
    except UNREADABLE as error:
        warnings.warn(f"{path} cannot be used ({type(error).__name__}: {error}): its stage is made anew.", stacklevel=4)
        return None


def _array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(BytesIO(content), allow_pickle=False)


def _saved(path: Path, stage: Stage, noted: Mapping[str, Any]) -> bool:
    """Whether the stage could be kept; a warning if not, since the run itself goes on."""
    try:
        with atomic.written(path) as partial:
            _write(partial, stage, noted)
    except OSError as error:
        needed = sum(array.nbytes for array in stage.values())
        warnings.warn(
            f"{path.name} could not be kept in {path.parent} ({error.strerror or error}): it takes up to "
            f"{_size(needed)}, {_free(path.parent)} are free. The run goes on, but could not be resumed from here.",
            stacklevel=4,
        )
        return False
    return True


def _write(path: Path, stage: Stage, noted: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(ABOUT, json.dumps(noted | {"arrays": list(stage)}, indent=1))
        for name, array in stage.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _describe(path: Path, data: str, shape: tuple[int, int], where: tuple[Path, ...]) -> None:
    """Note which data a folder is for, once, for the note to a run with other data."""
    if path.exists():
        return
    noted = {
        "data": data or ", ".join(dict.fromkeys(place.name for place in where)),
        "shape": f"{shape[0]:,} cells × {shape[1]:,} genes",
        "used": f"{datetime.now():%Y-%m-%d %H:%M}",
    }
    with suppress(OSError), atomic.written(path) as partial:
        partial.write_text(json.dumps(noted, indent=1))


def _of_other_data(folder: Path, described: list[Path]) -> str:
    found = []
    for path in described:
        with suppress(*UNREADABLE):
            noted = json.loads(path.read_text())
            found.append(f"{noted['data'] or 'data'} as it was on {noted['used']} ({noted['shape']})")
    return (
        f"{folder} holds stages of {'; '.join(found) or 'other data'}. The data at hand are others, or have changed "
        "since: their stages are made anew, and the old ones stay."
    )


def _plain(value: Any) -> Any:
    """A value that JSON does not know: an array by a hash of its values."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Categorical):
        return {"codes": _plain(value.codes), "categories": list(value.categories)}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value.astype(str) if value.dtype.hasobject else value)
        return f"{array.dtype.str} {array.shape} {sha256(array).hexdigest()}"
    raise TypeError(f"a stage cannot be named after a {type(value).__name__}.")


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _free(folder: Path) -> str:
    try:
        return _size(shutil.disk_usage(folder).free)
    except OSError:
        return "an unknown number of bytes"
