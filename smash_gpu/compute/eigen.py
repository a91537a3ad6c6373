"""The leading eigenvectors of a symmetric matrix, no more of them than are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from smash_gpu.compute.cores import idle_cores
from smash_gpu.compute.xp import namespace, on_gpu

ROWS_PER_THREAD = 1000  # with fewer, threads wait for each other more than they compute


def leading(matrix: Any, how_many: Callable[[Any], int]) -> Any:
    """The eigenvectors of the largest eigenvalues of a symmetric matrix, as columns, largest eigenvalue first.

    On the host the matrix is reduced to three diagonals once; only the vectors that are asked for are computed and
    transformed back. A device has the full decomposition only.

    Parameters
    ----------
    matrix
        Float64, on the host or on a device. On the host it is overwritten.
    how_many
        From all eigenvalues, in descending order, to the number of vectors.
    """
    if on_gpu(matrix):
        values, vectors = namespace(matrix).linalg.eigh(matrix)
        return vectors[:, ::-1][:, : how_many(values[::-1])]
    if len(matrix) < 2:
        return np.ones_like(matrix)[:, : how_many(matrix.ravel())]
    return _by_three_diagonals(matrix, how_many)


def _by_three_diagonals(matrix: np.ndarray, how_many: Callable[[np.ndarray], int]) -> np.ndarray:
    """LAPACK's reduction, eigenvalues, relatively robust representations of the wanted vectors, and back."""
    from scipy.linalg import eigh_tridiagonal, eigvalsh_tridiagonal, lapack

    n = len(matrix)
    work = int(lapack.dsytrd_lwork(n, lower=1)[0])
    reflectors, middle, beside, tau, _ = lapack.dsytrd(matrix.T, lower=1, lwork=work, overwrite_a=1)
    wanted = how_many(eigvalsh_tridiagonal(middle, beside, lapack_driver="sterf")[::-1])
    last = {"select": "i", "select_range": (n - wanted, n - 1)}
    _, vectors = eigh_tridiagonal(middle, beside, lapack_driver="stemr", **last)
    below, rest = np.asfortranarray(reflectors[1:, :-1]), np.asfortranarray(vectors[1:])
    work = int(lapack.dormqr("L", "N", below, tau, rest, -1)[1][0])
    vectors[1:] = lapack.dormqr("L", "N", below, tau, rest, work, overwrite_c=1)[0]
    return vectors[:, ::-1]


@contextmanager
def idle_threads(n_rows: int) -> Iterator[None]:
    """As many threads of linear algebra as there are idle cores, one for a small matrix, and no more than allowed.

    Its threads wait by spinning: beside a busy process one more thread than there are idle cores makes a decomposition
    many times slower, not faster.
    """
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    most = min([n_rows // ROWS_PER_THREAD, *(library.num_threads for library in blas.lib_controllers)])
    with blas.limit(limits=1 if most < 2 else min(most, idle_cores())):
        yield
