"""Trees of scikit-learn's and imbalanced-learn's forests, grown by the workers of a Dask cluster through joblib.

Every tree has its seed before it is grown, so that the forest is the one that this machine alone would grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from smash_gpu.runtime.cluster import active_client, despite_losses, is_dask

_client: ContextVar[Any] = ContextVar("client", default=None)


@contextmanager
def grown_where(X: Any) -> Iterator[None]:
    """Inside, `fit` grows trees on the workers if ``X`` is a Dask array and a client is active."""
    token = _client.set(active_client() if is_dask(X) else None)
    try:
        yield
    finally:
        _client.reset(token)


def n_threads() -> int:
    """Threads of the workers that grow trees; 1 where this machine does."""
    return 1 if _client.get() is None else sum(_client.get().nthreads().values())


def fit(forest: Any, X: np.ndarray, group: np.ndarray) -> None:
    """Fit a forest; where a worker is lost together with what it was sent, once more."""
    client = _client.get()
    if client is None:
        forest.fit(X, group)
        return
    from joblib import parallel_config

    def attempt() -> None:
        with parallel_config(backend="dask"):
            forest.fit(X, group)

    despite_losses(attempt, client, "trees were growing")
