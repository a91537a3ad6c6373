"""Small data sets for examples and tests."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

__all__ = ["pbmc68k_reduced", "planted"]
GROUPS = ("A", "B / b", "CD4+ T")  # a slash and a plus, as labels of real data have them
N_MARKERS = 3
HIGH, LOW = 6.0, 0.3  # counts per cell of a planted marker, in its group and elsewhere
NOISE = 0.2, 1.5
DEPTH = 0.7, 1.4


def __dir__() -> list[str]:
    return __all__


def planted(
    *,
    n_cells: int = 240,
    n_genes: int = 60,
    groups: Sequence[str] = GROUPS,
    n_markers: int = N_MARKERS,
    n_samples: int = 4,
    n_batches: int = 2,
    random_state: int | np.random.Generator = 0,
) -> ad.AnnData:
    """Synthetic counts in which the markers of every class are known.

    Each gene has its own Poisson rate, 0.2 to 1.5 counts per cell. Marker ``i`` of class ``c`` has 6 counts per cell in
    its class and 0.3 elsewhere. Cells differ in depth by a factor of 0.7 to 1.4. Samples and batches have no effect.

    Parameters
    ----------
    n_cells
        Number of cells.
    n_genes
        Number of genes, the markers included.
    groups
        Names of the classes; each cell belongs to one of them at random.
    n_markers
        Markers per class.
    n_samples
        Number of samples; "donor0", "donor1", …
    n_batches
        Number of batches; "batch0", "batch1", … A sample is in one batch.
    random_state
        Seed, or a generator of random numbers; the same seed gives the same cells.

    Returns
    -------
    Annotated cells × genes. ``X`` holds raw counts, CSR, float32. ``obs`` has ``cell_type`` (categorical), ``sample``
    and ``batch`` (strings); ``var`` has ``marker_of``, the class of each planted marker and "" for the other genes.
    Markers are named "MARKER0X" (class 0, first marker), the others "NOISE9".

    Raises
    ------
    ValueError
        If there are more markers than genes.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> adata.shape
    (240, 60)
    >>> adata.var_names[adata.var["marker_of"] == "A"].tolist()
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']
    """
    if n_markers * len(groups) > n_genes:
        raise ValueError(f"n_genes={n_genes} is too low: {len(groups)} groups have {n_markers} markers each.")
    rng = np.random.default_rng(random_state)
    group = rng.integers(0, len(groups), n_cells)
    rate = rng.uniform(*NOISE, n_genes) * np.ones((n_cells, 1))
    marker_of = np.repeat(np.arange(len(groups)), n_markers)
    rate[:, : len(marker_of)] = np.where(group[:, None] == marker_of, HIGH, LOW)
    counts = rng.poisson(rate * rng.uniform(*DEPTH, (n_cells, 1))).astype(np.float32)
    sample = rng.integers(0, n_samples, n_cells)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical.from_codes(group, list(groups)),
            "sample": [f"donor{i}" for i in sample],
            "batch": [f"batch{i % n_batches}" for i in sample],
        },
        index=[f"cell{i}" for i in range(n_cells)],
    )
    names = [f"MARKER{c}{_letters(i % n_markers)}" for i, c in enumerate(marker_of)]
    names += [f"NOISE{i}" for i in range(len(marker_of), n_genes)]
    of = [*(groups[c] for c in marker_of.tolist()), *[""] * (n_genes - len(marker_of))]
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame({"marker_of": of}, index=names))


def _letters(number: int) -> str:
    return "XYZ"[number] if number < len("XYZ") else str(number)


def pbmc68k_reduced() -> ad.AnnData:
    """700 blood cells of ten types that scanpy ships (10x Genomics, PBMC 68k; Zheng et al. 2017); no download.

    Returns
    -------
    Annotated cells × genes, 700 × 765. ``raw`` holds log-normalised expression (log1p of counts per 10,000, CSR,
    float32) and ``X`` z-scores: pass ``use_raw=True, normalize=False``. ``obs["bulk_labels"]`` holds the cell types.

    Raises
    ------
    ImportError
        If scanpy is not installed.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.pbmc68k_reduced()
    >>> adata.shape, adata.obs["bulk_labels"].nunique()
    ((700, 765), 10)
    """
    if find_spec("scanpy") is None:
        raise ImportError("smg.datasets.pbmc68k_reduced needs scanpy, which holds the data: pip install scanpy.")
    return import_module("scanpy").datasets.pbmc68k_reduced()
