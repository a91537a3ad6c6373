"""A folder of finished stages, so that a stopped run continues where it was.

A stage is a set of named arrays in one npz file. The file is named after the stage and a hash of all that the stage
depends on: the data, the parameters, the versions of the packages. It appears in one step (`smash_gpu.runtime.atomic`),
and the checksums of the zip format show whether it is damaged.

joblib.Memory does much of this, but it keeps pickles (a foreign file could run code, damage goes unnoticed), does not
flush them to the disk, reads all values of the arguments to recognise a call, and its files have no readable names.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from smash_gpu.errors import warn
from smash_gpu.io import integrity, matrices
from smash_gpu.runtime import atomic, versions

FORMAT = 6  # of the files, and of what the stages hold: raise it when a stage is computed in another way
ABOUT, MADE, DATA = "about", "made", "data.txt"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
Stage = dict[str, np.ndarray]


@dataclass(frozen=True)
class Notice:
    """A stage was ``found`` in the folder, or computed and kept there now."""

    stage: str
    made: datetime
    found: bool


def _nothing(*_: Notice) -> None:
    pass


@dataclass(frozen=True)
class Work:
    """Where finished stages are kept; without a folder, nowhere.

    Attributes
    ----------
    folder
        May hold the stages of any number of data sets.
    notify
        Called for every stage that was found or kept.
    data
        Name of the data in warnings, e.g. of their file.
    within
        Name of the part of the data that the stages are made from, shown in their names.
    """

    folder: Path | None = None
    notify: Callable[[Notice], None] = _nothing
    data: str = ""
    within: str = ""
    _require_unchanged: Callable[[], None] = _nothing

    @classmethod
    def of(cls, work: Work | str | Path | None, data: str = "") -> Work:
        """A user's folder, ``Work`` or None, with a name for the data."""
        given = work if isinstance(work, Work) else cls(None if work is None else Path(work))
        return replace(given, data=given.data or data)

    def on(self, X: Any, fingerprint: Callable[[], str]) -> Self:
        """For stages made from the matrix ``X``, whose files must not change from now on.

        Parameters
        ----------
        fingerprint
            Called only if there is a folder.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        places = matrices.places(X)
        bound = replace(self, _require_unchanged=partial(integrity.require_unchanged, places, integrity.files(places)))
        if self.folder is None:
            return bound
        folder = self.folder / fingerprint()[:16]
        bound._require_unchanged()
        if not folder.is_dir():
            _warn_of_other_data(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(folder)
        _describe(folder / DATA, self.data or ", ".join(dict.fromkeys(place.name for place in places)), X.shape)
        return replace(bound, folder=folder)

    def kept(self, name: str, parameters: Mapping[str, Any] | None, compute: Callable[[], Mapping[str, Any]]) -> Stage:
        """What ``compute`` returns, from the folder if it is there.

        Parameters
        ----------
        name
            Of the stage, for people.
        parameters
            All that the stage depends on besides the data: plain values, arrays, lists and mappings of those. None if
            that cannot be written to a file: the stage is then not kept.
        compute
            Makes the stage: a mapping from names to arrays without objects, or numbers.

        Raises
        ------
        smash_gpu.errors.ChangedError
            If a file of the data changed in the meantime.
        """
        if self.folder is None or parameters is None:
            return self._computed(compute)
        depends = {"stage": name, "format": FORMAT, "data": self.folder.name, "versions": versions.installed()}
        about = _as_json(depends | {"parameters": parameters})
        shown = f"{self.within}: {name}" if self.within else name
        file = f"{re.sub('[^0-9A-Za-z]+', '-', shown).strip('-')[:80]}-{sha256(about.encode()).hexdigest()[:16]}.npz"
        self._require_unchanged()
        if (found := _load(self.folder / file, about)) is not None:
            stage, made = found
            self.notify(Notice(shown, made, found=True))
            return stage
        stage, made = self._computed(compute), datetime.now()
        if _is_saved(self.folder / file, stage, about, made):
            self.notify(Notice(shown, made, found=False))
        return stage

    def _computed(self, compute: Callable[[], Mapping[str, Any]]) -> Stage:
        """What ``compute`` returns if no file of the data changed in the meantime."""
        self._require_unchanged()
        try:
            return {name: np.asarray(value) for name, value in compute().items()}
        finally:
            self._require_unchanged()


def digest(parameters: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, arrays, lists and mappings of those."""
    return sha256(_as_json(parameters).encode()).hexdigest()


def _as_json(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    """A value that JSON does not know: an array by a hash of its values."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Categorical):
        return {"codes": _plain(value.codes), "categories": list(value.categories)}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value.astype(str) if value.dtype.hasobject else value)
        return f"{array.dtype.str} {array.shape} {sha256(array.view(np.uint8).data).hexdigest()}"
    raise TypeError(f"cannot name a stage after a parameter of type {type(value).__name__}.")


def _load(path: Path, about: str) -> tuple[Stage, datetime] | None:
    """The stage and when it was made; None if it is not there, damaged, or another one."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if damaged := file.zip.testzip():  # compares checksums
                raise ValueError(f"{damaged} is damaged")
            stage = dict(file)
        if stage.pop(ABOUT).item() != about:
            raise ValueError("it holds another stage")
        return stage, datetime.fromisoformat(stage.pop(MADE).item())
    except UNREADABLE as error:
        warn(f"ignoring {path} ({type(error).__name__}: {error}); its stage is recomputed.")
        return None


def _is_saved(path: Path, stage: Stage, about: str, made: datetime) -> bool:
    """Whether the stage could be written; a warning if not, since the run itself continues."""
    if objects := [name for name, array in stage.items() if array.dtype.hasobject]:
        raise ValueError(f"object arrays cannot be kept in {path.name}: {', '.join(objects)}")
    held: dict[str, Any] = {**stage, ABOUT: about, MADE: made.isoformat(timespec="seconds")}
    try:
        with atomic.written(path) as partly:
            np.savez(partly, **held)
    except OSError as error:
        n_bytes = sum(array.nbytes for array in stage.values())
        warn(
            f"cannot keep {path.name} in {path.parent} ({error.strerror or error}): it needs {n_bytes / 1e6:,.1f} MB, "
            f"{_free(path.parent)}. The run continues, but could not be resumed from here."
        )
        return False
    return True


def _free(folder: Path) -> str:
    with suppress(OSError):
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
    return "free space unknown"


def _describe(path: Path, data: str, shape: tuple[int, int]) -> None:
    """Write down once which data a folder is for, to warn a run with other data."""
    if not path.exists():
        with suppress(OSError), atomic.written(path) as partly:
            text = f"{data or 'data'} as of {datetime.now():%Y-%m-%d %H:%M} ({shape[0]:,} cells × {shape[1]:,} genes)"
            partly.write_text(text, encoding="utf-8")


def _warn_of_other_data(folder: Path) -> None:
    found = []
    for path in sorted(folder.glob(f"*/{DATA}")):
        with suppress(OSError, ValueError):
            found.append(path.read_text(encoding="utf-8"))
    if found:
        warn(
            f"{folder} holds stages of {'; '.join(found)}. The current data differ from these, so all stages are "
            "recomputed; existing files are kept."
        )
