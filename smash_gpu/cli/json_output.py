"""``--json``: one object on standard output; all that a command says goes to standard error."""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np

from smash_gpu.cli.exit_codes import ExitCode
from smash_gpu.errors import InfeasibleError

STDOUT, STDERR = 1, 2  # file descriptors


@dataclass(frozen=True)
class Result:
    """What the ``run`` of a command returns.

    Attributes
    ----------
    values
        The fields of the object that ``--json`` prints; tables, arrays and paths as they are, see `plain`.
    code
        Exit code.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    code: int = ExitCode.DONE


@contextmanager
def messages(*, as_json: bool) -> Iterator[None]:
    """What is printed goes to standard error if standard output is kept for the object."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr), _lines_of_libraries():
        yield


@contextmanager
def _lines_of_libraries() -> Iterator[None]:
    """What compiled libraries print, such as HiGHS, goes to standard error, too."""
    try:
        kept = os.dup(STDOUT)
    except OSError:  # there is none
        yield
        return
    try:
        os.dup2(STDERR, STDOUT)
        yield
    finally:
        with suppress(OSError, TypeError, AttributeError):
            ctypes.CDLL(None).fflush(None)  # what they have not written yet
        os.dup2(kept, STDOUT)
        os.close(kept)


def print_object(command: str, result: Result, notes: list[str]) -> None:
    """The object: the command, its exit code, its notes, and what it found."""
    fields = {"command": command, "exit_code": int(result.code), "notes": notes} | dict(result.values)
    print(json.dumps(plain(fields), indent=2, ensure_ascii=False, allow_nan=False))


def failure(error: BaseException, message: str, code: int) -> Result:
    """The result of a command that stopped with an error."""
    said: dict[str, Any] = {"type": type(error).__name__, "message": message}
    if isinstance(error, InfeasibleError):
        said["certificate"] = error.certificate
    return Result({"error": said}, code)


@singledispatch
def plain(value: Any) -> Any:
    """A value as JSON has it: a table becomes a list of rows, NaN and infinity become null.

    Raises
    ------
    TypeError
        If JSON has nothing for it.
    """
    if value is None or isinstance(value, str | int):
        return value
    import pandas as pd  # a usage error does not need it

    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict(orient="records"))
    if isinstance(value, pd.Series | pd.Index):
        return plain(list(value))
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


@plain.register
def _(value: float) -> float | None:
    return value if math.isfinite(value) else None


@plain.register
def _(value: np.generic) -> Any:
    return plain(value.item())


@plain.register(list)
@plain.register(tuple)
@plain.register(np.ndarray)
def _(value: Any) -> list[Any]:
    return [plain(one) for one in value]


@plain.register(Mapping)
def _(value: Mapping) -> dict[str, Any]:
    return {str(name): plain(one) for name, one in value.items()}


@plain.register
def _(value: Path) -> str:
    return str(value)
