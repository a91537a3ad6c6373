"""Batch correction: Harmony on principal components, mapped back to genes as a low-rank shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.device import same_allocator
from smash_gpu.compute.eigen import idle_threads, leading
from smash_gpu.compute.pca import cuml_pca
from smash_gpu.compute.xp import namespace, on_gpu, take
from smash_gpu.data.batches import warn_of_parts
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.stats import Moments

# The correction reaches a gene only through the components, and Harmony's default ridge (1) keeps part of each
# difference between batches; trees find what is left. In twelve subsets of pbmc_3batch_symphony with a planted batch
# gene and cell types confounded with batches, the rank of that gene for the confounded type was 2–29 without correction
# and 27–123 with these values; 50 components and a ridge of 1 hardly changed it. Nine further draws: 2–11 and 38–117.
N_COMPONENTS = 200
RIDGE = 1e-3
CELLS_PER_PART = 65_536  # rows computed at once, in float64; all cells need three times the memory of the expression


@dataclass(frozen=True)
class Shift:
    """A low-rank change of expression: ``ẽ = e + scores · loadingsᵀ``.

    ``scores`` is cells × components, ``loadings`` is genes × components.
    """

    scores: Any
    loadings: Any

    def added_to(self, dense: Any, cells: np.ndarray) -> Any:
        """The expression of the numbered ``cells`` (cells × genes) with the shift added, in place, part by part."""
        xp = namespace(dense)
        for part in parts(len(cells)):
            dense[part] += xp.asarray(take(self.scores, cells[part]) @ self.loadings.T, dtype=dense.dtype)
        return dense


def warn_if_mixed_up(data: Dataset) -> None:
    """Warn of batches that share no class: Harmony cannot tell the batch from the class."""
    assert data.batch is not None, "only cells with a batch are corrected"
    n = np.zeros((data.n_groups, len(data.batch.categories)), dtype=np.int64)
    np.add.at(n, (data.labels, data.batch.codes[data.cells]), 1)
    warn_of_parts(
        n,
        "differences between classes of different parts may be batch effects, and Harmony may remove the differences "
        "between the classes themselves. Leave batch_key out, or merge the batches.",
    )


def parts(n_cells: int) -> list[slice]:
    """Slices of rows that are computed at once."""
    return [slice(start, start + CELLS_PER_PART) for start in range(0, n_cells, CELLS_PER_PART)]


def leading_components(moments: Moments, n_components: int = N_COMPONENTS) -> Any:
    """The first principal axes of centred expression; genes × components, orthonormal columns."""
    covariance = moments.covariance
    with idle_threads(len(covariance)):
        return leading(covariance, lambda values: min(n_components, len(values)))


def leading_components_of_cells(X: Any, n_components: int = N_COMPONENTS) -> tuple[Any, Any]:
    """Mean of each gene and `leading_components` of expression that is on a device (cells × genes), by cuML."""
    mean = X.mean(axis=0, dtype=np.float64)
    return mean, cuml_pca(X.astype(np.float64), min(n_components, X.shape[1])).components_.T


def harmonize(components: Any, batch: np.ndarray, *, random_state: int = 0) -> Any:
    """Principal components corrected by Harmony (Korsunsky et al. 2019): harmonypy, or rapids-singlecell on a GPU.

    Parameters
    ----------
    components
        Cells × components.
    batch
        The batch of each cell.

    Returns
    -------
    Cells × components.
    """
    batches = pd.DataFrame({"batch": pd.Series(np.asarray(batch, dtype=object)).astype(str)})
    if on_gpu(components):
        return _harmonize_on_device(components, batches, random_state)
    import logging

    from harmonypy import run_harmony

    logging.getLogger("harmonypy").setLevel(logging.WARNING)
    result = run_harmony(components, batches, ["batch"], lamb=RIDGE, random_state=random_state, verbose=False)
    return np.asarray(result.Z_corr)


def _harmonize_on_device(components: Any, batches: pd.DataFrame, random_state: int) -> Any:
    """The same on a GPU, with a fixed ridge, which rapids-singlecell supports only in flavor="harmony1"."""
    with same_allocator():
        import rapids_singlecell as rsc
    from anndata import AnnData

    cells = AnnData(obs=batches.set_index(batches.index.astype(str)), obsm={"X_pca": components})
    rsc.pp.harmony_integrate(
        cells, "batch", basis="X_pca", adjusted_basis="X_corrected", dtype=np.float64, flavor="harmony1",
        ridge_lambda=RIDGE, rng=random_state,
    )  # fmt: skip
    return namespace(components).asarray(cells.obsm["X_corrected"])
