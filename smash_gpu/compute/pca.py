"""The inverse-PCA filter, from the correlation matrix alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, to_host

N_TOP = 20
VARIANCE = 0.80
SMALL = 1000


def eigh(matrix: Any) -> tuple[Any, Any]:
    """Ascending eigenvalues and eigenvectors of a symmetric matrix; a small one on one thread, as more only wait."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if len(matrix) < SMALL else None, user_api="blas"):
        return namespace(matrix).linalg.eigh(matrix)


def inverse_pca(correlation: Any, *, n_top: int = N_TOP, variance: float = VARIANCE) -> np.ndarray:
    """Genes with a large loading on a leading principal component of standardised expression.

    Equal to standardising every gene, a full PCA, and the union over components of the ``n_top`` genes with the largest
    absolute loading; components count from the first to the one at which the cumulative share of the variance first
    exceeds ``variance`` (paper, Methods: "inverse PCA").

    Parameters
    ----------
    correlation
        Pearson correlation, genes × genes.

    Returns
    -------
    Mask over genes.
    """
    xp = namespace(correlation)
    values, vectors = eigh(correlation)
    share = xp.cumsum(xp.maximum(values[::-1], 0)) / xp.maximum(values, 0).sum()
    n_components = min(int(xp.count_nonzero(share <= variance)) + 1, len(values))  # synchronises
    loadings = xp.abs(vectors[:, ::-1][:, :n_components])
    top = to_host(xp.argsort(-loadings, axis=0)[:n_top])
    mask = np.zeros(len(correlation), dtype=bool)
    mask[top.ravel()] = True
    return mask
