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


def known_about(adata: AnnData, stored: Any, *, normalize: bool | None) -> Known:
    """What is known about a matrix of ``adata``; nothing if it has changed, or another was read since.

    It goes when ``adata`` goes, and neither copies nor files have it.

    Parameters
    ----------
    stored
        The matrix as ``adata`` holds it.
    normalize
        What its values must be, as in `Known`.
    """
    now, key = identity(stored), id(adata)
    if now is None:
        return Known(normalize)
    found = _by_id.get(key)
    if found is not None and (found.identity, found.known.normalize) == (now, normalize):
        return found.known
    if found is None:
        finalize(adata, _by_id.pop, key, None)
    known = Known(normalize)
    _by_id[key] = _Remembered(now, known)
    return known
