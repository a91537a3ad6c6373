"""What steps have found out about the matrix of an AnnData, for the steps after them; nothing of it is in its slots."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import finalize

from anndata import AnnData

from smash_gpu.data.fingerprint import identity
from smash_gpu.data.known import Known


class _Remembered(NamedTuple):
    identity: str
    known: Known


_by_id: dict[int, _Remembered] = {}


def known_about(adata: AnnData, stored: Any, *, are_counts: bool) -> Known:
    """What is known about a matrix of ``adata``; nothing if it has changed, or another was read since.

    It goes when ``adata`` goes, and neither copies nor files have it.

    Parameters
    ----------
    stored
        The matrix as ``adata`` holds it.
    are_counts
        Whether its values must be raw counts.
    """
    now, key = identity(stored), id(adata)
    if now is None:
        return Known(are_counts)
    found = _by_id.get(key)
    if found is not None and (found.identity, found.known.are_counts) == (now, are_counts):
        return found.known
    if found is None:
        finalize(adata, _by_id.pop, key, None)
    known = Known(are_counts)
    _by_id[key] = _Remembered(now, known)
    return known
