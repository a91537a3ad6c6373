"""Keys and values that h5ad and zarr can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SEPARATORS = {"/", "\\", "\0"}  # of folders in h5ad and zarr, on some system; NUL ends a name
UNREADABLE = {"", ".", "..", "_index"}  # the last is anndata's name for the index of a table
NONE = "None"  # h5ad and zarr cannot hold None
QUOTES = "'\""  # around a text that would read as `NONE`


def require_storable(key: Any) -> None:
    """Raise a ValueError for a key with which h5ad or zarr could not be read again."""
    if not isinstance(key, str) or key in UNREADABLE or set(key) & SEPARATORS:
        raise ValueError(
            f"key={key!r} cannot be used: h5ad and zarr files with such a key cannot be read again. Pass a name "
            "without /, such as 'run2'."
        )


def storable(value: Any) -> Any:
    """``value`` in types that h5ad and zarr can hold."""
    if isinstance(value, Mapping):
        return {str(name): storable(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        are_numbers = value and all(isinstance(v, int | float) for v in value)
        return np.array(value) if are_numbers else np.array([str(v) for v in value], dtype=object)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str) and value.strip(QUOTES) == NONE:
        return f"'{value}'"  # of a layer or column that is called so
    return value if isinstance(value, bool | int | float | str) else repr(value)  # repr(None) is NONE


def plain(value: Any) -> Any:
    """``value`` as it was before `storable`, also after a file."""
    if isinstance(value, Mapping):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, np.ndarray):
        return tuple(value.tolist() if value.dtype.kind in "if" else map(str, value))
    if isinstance(value, str) and value.strip(QUOTES) == NONE:
        return None if value == NONE else value[1:-1]
    return value.item() if isinstance(value, np.generic) else value
