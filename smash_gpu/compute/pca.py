"""The inverse-PCA filter: from the correlation of genes, from the products of fewer cells, or by cuML on a device."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from smash_gpu.compute.device import device_room, release_memory, same_allocator
from smash_gpu.compute.eigen import idle_threads, leading
from smash_gpu.compute.xp import namespace, to_host

N_TOP = 20
VARIANCE = 0.80
BYTES_PER_VALUE = 24  # of cells × genes: expression in float32, ``z`` in float64, and cuML's copy of it
SHARE_FOR_CELLS = 0.5  # of the free memory of the device
CONSTANT = 1e-12  # of its mean square: a smaller variance is rounding


def inverse_pca(correlation: Any, *, n_top: int = N_TOP, variance: float = VARIANCE) -> np.ndarray:
    """Genes with a large loading on a leading principal component of standardised expression.

    Equal to standardising every gene, a full PCA, and the union over components of the ``n_top`` genes with the largest
    absolute loading; components count from the first to the one at which the cumulative share of the variance first
    exceeds ``variance`` (paper, Methods: "inverse PCA").

    Parameters
    ----------
    correlation
        Pearson correlation, genes × genes; on the host it is overwritten.

    Returns
    -------
    Mask over genes.
    """
    with idle_threads(len(correlation)):
        axes = leading(correlation, _components(correlation, variance))
    return _large(axes, n_top)


def inverse_pca_by_cells(e: Any, *, n_top: int = N_TOP, variance: float = VARIANCE) -> np.ndarray:
    """`inverse_pca` of the correlation of ``e`` (cells × genes, fewer cells than genes), from products of cells.

    With standardised expression Z, each eigenvector u of ZZᵀ (cells × cells) gives one of ZᵀZ (genes × genes) with the
    same eigenvalue: Zᵀu, whose length does not matter here.
    """
    with idle_threads(len(e)):
        z = standardised(e)
        product = z @ z.T
        axes = z.T @ leading(product, _components(product, variance))
    return _large(axes, n_top)


def _components(matrix: Any, variance: float) -> Callable[[Any], int]:
    """From eigenvalues in descending order to the number of components; one without variance does not count."""
    xp = namespace(matrix)
    whole = float(xp.trace(matrix))

    def count(values: Any) -> int:
        enough = int(xp.count_nonzero(xp.cumsum(xp.maximum(values, 0)) / whole <= variance)) + 1 if whole > 0 else 1
        return max(1, min(enough, int(xp.count_nonzero(values > CONSTANT * whole))))

    return count


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
    n_components = int(namespace(e).count_nonzero(share <= variance)) + 1  # synchronises
    return _large(fitted.components_[:n_components].T, n_top)


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
    square = xp.einsum("cg,cg->g", z, z) / len(z)
    z -= z.mean(axis=0)
    variance = xp.einsum("cg,cg->g", z, z) / len(z)
    varies = variance > CONSTANT * square
    z *= xp.where(varies, 1 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)
    return z


def _large(axes: Any, n_top: int) -> np.ndarray:
    """Mask of the genes with one of the ``n_top`` largest absolute loadings on any axis; genes × axes."""
    xp = namespace(axes)
    top = to_host(xp.argpartition(-xp.abs(axes), min(n_top, len(axes)) - 1, axis=0)[:n_top])
    mask = np.zeros(len(axes), dtype=bool)
    mask[top.ravel()] = True
    return mask
