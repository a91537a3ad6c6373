"""Chance, highly variable genes, and scanpy's tests of each group against the rest."""

from __future__ import annotations

import numpy as np

from benchmarks.baselines.cells import GROUP, annotated, in_turn, scores_of
from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import ranking

NEAREST = 20


def random_matched(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """For every gene that Wilcoxon chooses, one drawn from the `NEAREST` unused ones in mean expression."""
    rng = np.random.default_rng(seed)
    mean = data.stats.pooled.mean[0]
    chosen: list[int] = []
    for gene in wilcoxon(data, n_genes, seed):
        distance = np.abs(mean - mean[gene])
        distance[chosen] = np.inf
        nearest = np.argsort(distance, kind="stable")[: min(NEAREST, len(mean) - len(chosen))]
        chosen.append(int(rng.choice(nearest)))
    return np.array(chosen)


def hvg_seurat(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Normalised dispersion within bins of mean expression; knows no groups."""
    import scanpy as sc

    adata = annotated(data)
    sc.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=n_genes)
    return ranking.order(adata.var["dispersions_norm"].to_numpy(dtype=float), data.names)[:n_genes]


def hvg_seurat_v3(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Variance of counts standardised by a loess fit to the mean; knows no groups."""
    import scanpy as sc

    adata = annotated(data)
    sc.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=n_genes, layer="counts")
    return ranking.order(adata.var["variances_norm"].to_numpy(dtype=float), data.names)[:n_genes]


def t_test(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Welch's t of each group against the rest, groups in turn."""
    return _tested(data, n_genes, method="t-test")


def wilcoxon(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Rank-sum of each group against the rest, groups in turn."""
    return _tested(data, n_genes, method="wilcoxon")


def logistic_regression(data: Dataset, n_genes: int, seed: int) -> np.ndarray:
    """Coefficients of multinomial logistic regression on expression, groups in turn."""
    return _tested(data, n_genes, method="logreg", random_state=seed, max_iter=1000)


def _tested(data: Dataset, n_genes: int, **options) -> np.ndarray:
    import scanpy as sc

    adata = annotated(data)
    sc.tl.rank_genes_groups(adata, GROUP, use_raw=False, **options)
    return in_turn(scores_of(adata.uns["rank_genes_groups"], data), data, n_genes)
