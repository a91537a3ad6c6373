"""The inverse-PCA filter: from the correlation matrix alone, or by cuML from the cells on a device."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from smash_gpu.compute.device import device_room, release_memory, same_allocator
from smash_gpu.compute.xp import namespace, to_host

N_TOP = 20
VARIANCE = 0.80
SMALL = 1000
BYTES_PER_VALUE = 24  # of cells × genes: expression in float32, ``z`` in float64, and cuML's copy of it
SHARE_FOR_CELLS = 0.5  # of the free memory of the device
CONSTANT = 1e-12  # of its mean square: a smaller variance is rounding


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
    return _large(share, vectors[:, ::-1], n_top=n_top, variance=variance)


def fits_cuml(n_cells: int, n_genes: int) -> bool:
    """Whether `inverse_pca_of_cells` can be used: cuML is installed, and the device has the memory.

    It needs two genes or more, and no fewer cells than genes: cuML computes no more components than there are cells.
    """
    n_bytes = BYTES_PER_VALUE * n_cells * n_genes
    return 1 < n_genes <= n_cells and find_spec("cuml") is not None and n_bytes <= SHARE_FOR_CELLS * device_room()


def inverse_pca_of_cells(e: Any, *, n_top: int = N_TOP, variance: float = VARIANCE) -> np.ndarray:
    """`inverse_pca` of the correlation of ``e`` (cells × genes, on a device), by cuML's PCA of standardised ``e``."""
    fitted = cuml_pca(standardised(e), e.shape[1])
    share = namespace(e).cumsum(fitted.explained_variance_ratio_)
    return _large(share, fitted.components_.T, n_top=n_top, variance=variance)


def cuml_pca(x: Any, n_components: int) -> Any:
    """CuML's full PCA of cells × genes on a device; its results stay there."""
    with same_allocator():
        from cuml.decomposition import PCA
    release_memory()  # cuML takes its own, not what CuPy's pool holds
    return PCA(n_components=n_components, svd_solver="full", output_type="cupy").fit(x)


def standardised(e: Any) -> Any:
    """Columns with mean 0 and variance 1 in float64; 0 for a gene that does not vary, as in its correlation."""
    xp = namespace(e)
    z = e.astype(np.float64)
    square = (z**2).mean(axis=0)
    z -= z.mean(axis=0)
    variance = (z**2).mean(axis=0)
    varies = variance > CONSTANT * square
    z *= xp.where(varies, 1 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)
    return z


def _large(share: Any, axes: Any, *, n_top: int, variance: float) -> np.ndarray:
    """Mask of the genes with a large loading; cumulative shares of the variance, and axes as columns."""
    xp = namespace(share)
    n_components = min(int(xp.count_nonzero(share <= variance)) + 1, len(share))  # synchronises
    loadings = xp.abs(axes[:, :n_components])
    top = to_host(xp.argsort(-loadings, axis=0)[:n_top])
    mask = np.zeros(len(axes), dtype=bool)
    mask[top.ravel()] = True
    return mask
