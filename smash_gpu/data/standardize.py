"""Mean, standard deviation and z-scores of dense matrices, in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from smash_gpu.compute.xp import CELLS_PER_PRODUCT, namespace, take, to_host

Z_CEILING = 10.0


def mean_std(X: Any, cells: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n − 1) of every column of a dense matrix, summed in float64 part by part.

    Parameters
    ----------
    cells
        Numbers of the rows to use; None: all.
    """
    from smash_gpu.data.stats import GroupStats  # which imports all that reads files

    xp = namespace(X)
    total, square = xp.zeros((1, X.shape[1])), xp.zeros((1, X.shape[1]))
    for part, _ in in_parts(X, cells):
        values = part.astype(np.float64)
        total += values.sum(axis=0)
        square += xp.square(values, out=values).sum(axis=0)
    n_cells = len(X) if cells is None else len(cells)
    stats = GroupStats(np.array([n_cells]), None, None, to_host(total), to_host(square))
    return stats.mean[0], stats.std[0]


def in_parts(X: Any, cells: np.ndarray | None) -> Iterator[tuple[Any, slice | np.ndarray]]:
    """The rows of a dense matrix numbered ``cells`` (None: all), `CELLS_PER_PRODUCT` at a time, and which they are."""
    for start in range(0, len(X) if cells is None else len(cells), CELLS_PER_PRODUCT):
        part = slice(start, start + CELLS_PER_PRODUCT)
        yield (X[part], part) if cells is None else (take(X, cells[part]), cells[part])


def standardize(X: Any, mean: Any, std: Any, *, into: Any = None) -> Any:
    """``z = (x − mean) / std`` cut at +10, as scanpy's ``scale(max_value=10)``; a gene with std 0 becomes 0.

    ``into`` takes the result and may be ``X``; None: new memory.
    """
    xp = namespace(X)
    scale = xp.asarray(1 / np.where(std > 0, std, np.inf), dtype=X.dtype)
    z = xp.subtract(X, xp.asarray(mean, dtype=X.dtype), out=into)
    z *= scale
    return xp.minimum(z, X.dtype.type(Z_CEILING), out=z)
