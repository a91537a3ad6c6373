"""Spapros' knn_overlap and cluster_similarity (version 0.1.6): does a panel preserve the structure of the data?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from smash_gpu.compute.ops import labelled
from smash_gpu.data.dataset import Dataset

N_COMPONENTS = 50
KS = (5, 10, 15, 20, 25, 30)
NUMBERS_OF_CLUSTERS = (5, 60)
COARSE_AND_FINE = ((5, 20), (21, 60))
CLOSEST_RESOLUTIONS = 5e-5
LOWEST_RESOLUTION, HIGHEST_RESOLUTION = 2.0**-20, 2.0**20  # a disconnected graph may never reach five clusters
CELLS_FOR_APPROXIMATION = 8192  # from this size, scanpy (and so Spapros) searches neighbours approximately


def space(X: Any) -> np.ndarray:
    """The space for neighbour search: 50 principal components, or the genes themselves if there are at most 50.

    Parameters
    ----------
    X
        Expression, cells × genes; CSR or dense.
    """
    from sklearn.decomposition import PCA

    if X.shape[1] <= N_COMPONENTS:
        return X.toarray() if sparse.issparse(X) else X
    n = min(N_COMPONENTS, *(side - 1 for side in X.shape))
    return PCA(n, svd_solver="arpack", random_state=0).fit_transform(X)


def sparse_expression(data: Dataset, genes: np.ndarray) -> sparse.csr_matrix:
    """Expression ``e`` of the numbered genes in ``data.cells``; cells × genes, CSR of float32 in host memory."""
    parts = []
    for block in (labelled(*part) for part in data.blocks()):
        values = block.data.astype(np.float64)
        if data.target_sum is not None:
            library = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
            with np.errstate(invalid="ignore"):  # what is not a count is an error at the end of the pass
                scale = data.target_sum / np.maximum(library, 1e-300)
                values = np.log1p(values * np.repeat(scale, np.diff(block.indptr)))
        part = sparse.csr_matrix((values.astype(np.float32), block.indices, block.indptr), shape=block.shape)
        parts.append(part[:, genes])
    return sparse.vstack(parts, format="csr")


def neighbours(points: np.ndarray, k: int, *, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest points of every point except itself, nearest first, and their distances.

    Exact on a GPU and below 8,192 points; otherwise by nearest-neighbour descent, as in scanpy.
    """
    if device == "cuda":
        from cuml.neighbors import NearestNeighbors

        model = NearestNeighbors(n_neighbors=k + 1, output_type="numpy").fit(points)
        distance, index = model.kneighbors(points)
    elif len(points) < CELLS_FOR_APPROXIMATION:
        from sklearn.neighbors import NearestNeighbors

        distance, index = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points).kneighbors(points)
    else:
        from pynndescent import NNDescent

        index, distance = NNDescent(points, n_neighbors=k + 1, metric="euclidean", random_state=0).neighbor_graph
    itself = index == np.arange(len(points))[:, None]
    itself[~itself.any(axis=1), -1] = (
        True  # among many equal points a point may miss itself; then drop its last neighbour
    )
    shape = len(points), k
    return index[~itself].reshape(shape), distance[~itself].reshape(shape)


def mean_overlap(index: np.ndarray, distance: np.ndarray, other: np.ndarray, other_distance: np.ndarray) -> float:
    """Mean over cells of the share of neighbours that two graphs have in common, of the smaller set.

    Neighbours at distance 0 do not count, because Spapros reads its graphs from sparse matrices that drop zeros. A cell
    without neighbours counts as 0.

    Parameters
    ----------
    index, distance, other, other_distance
        Neighbours and distances in both graphs; cells × k.
    """
    n, k = index.shape
    cell = np.repeat(np.arange(n), k)
    first, second = ((cell * n + i.ravel())[d.ravel() > 0] for i, d in ((index, distance), (other, other_distance)))
    shared = np.bincount(np.intersect1d(first, second, assume_unique=True) // n, minlength=n)
    sizes = np.minimum((distance > 0).sum(axis=1), (other_distance > 0).sum(axis=1))
    return float(np.mean(shared / np.maximum(sizes, 1)))


def knn_overlap(points: np.ndarray, reference: np.ndarray, *, device: str = "cpu") -> tuple[dict, pd.Series]:
    """Overlap of the neighbours in two spaces for k = 5, 10, …, 30 (the cell itself included in k).

    One search for the largest k is used for all k.

    Returns
    -------
    "knn_overlap mean_overlap_AUC": mean over k from 5 to 30, linearly interpolated; then the overlap for each k.
    """
    graphs = [neighbours(p, max(KS) - 1, device=device) for p in (points, reference)]
    (index, distance), (other, other_distance) = graphs
    found = {
        k: mean_overlap(index[:, : k - 1], distance[:, : k - 1], other[:, : k - 1], other_distance[:, : k - 1])
        for k in KS
    }
    curve = np.interp(np.arange(KS[0], KS[-1] + 1), list(found), list(found.values()))
    return {"knn_overlap mean_overlap_AUC": float(curve.mean())}, pd.Series(found, name="mean")


def leiden_clusterings(points: np.ndarray) -> dict[int, np.ndarray]:
    """Leiden clusterings of the 15-nearest-neighbour graph with 5 to 60 clusters, for the numbers that can be reached.

    The resolution is halved and doubled until both ends are passed; then the gaps are bisected.
    """
    cluster = leiden(points)
    low, high = NUMBERS_OF_CLUSTERS
    tried: list[tuple[float, int]] = []
    found: dict[int, np.ndarray] = {}

    def attempt(resolution: float) -> None:
        labels = cluster(resolution)
        n = len(np.unique(labels))
        found.setdefault(n, labels)
        tried.append((resolution, n))
        tried.sort(key=lambda pair: pair[0])

    resolution = 1.0
    attempt(resolution)
    while min(n for _, n in tried) > low and resolution > LOWEST_RESOLUTION:
        resolution *= 0.5
        attempt(resolution)
    resolution = max(r for r, _ in tried)
    while max(n for _, n in tried) < high and resolution < HIGHEST_RESOLUTION:
        resolution *= 2
        attempt(resolution)
    searching = True
    while searching and not set(range(low, high + 1)) <= set(found):
        searching = False
        for i in range(len(tried) - 1):  # over the growing list, as in Spapros
            (left, n_left), (right, n_right) = tried[i], tried[i + 1]
            wanted = any(n_left < n < n_right for n in range(low, high + 1))
            if n_right - n_left > 1 and wanted and right - left > CLOSEST_RESOLUTIONS:
                attempt((left + right) * 0.5)
                searching = True
    return found


def cluster_similarity(clusterings: dict[int, np.ndarray], reference: dict[int, np.ndarray]) -> tuple[dict, pd.Series]:
    """Normalised mutual information (arithmetic) of clusterings with the same number of clusters.

    Returns
    -------
    "cluster_similarity nmi_5_20" and "nmi_21_60": sums over the numbers of clusters, missing
    numbers interpolated, divided by how many numbers there are; then the value for each number.
    """
    from sklearn.metrics import normalized_mutual_info_score

    low, high = NUMBERS_OF_CLUSTERS
    nmi = pd.Series(np.nan, index=range(low, high + 1), name="nmi")
    for n in nmi.index.intersection(list(clusterings)).intersection(list(reference)):
        nmi[n] = normalized_mutual_info_score(clusterings[n], reference[n], average_method="arithmetic")
    curve = nmi.interpolate()
    summary = {f"cluster_similarity nmi_{a}_{b}": float(curve.loc[a:b].sum() / (b - a + 1)) for a, b in COARSE_AND_FINE}
    return summary, nmi


def leiden(points: np.ndarray) -> Callable[[float], np.ndarray]:
    """A function from a resolution to clusters of the neighbour graph, with scanpy's defaults."""
    try:
        import igraph  # noqa: F401
    except ImportError:
        raise ImportError("Leiden clustering needs igraph: pip install igraph.") from None
    import anndata as ad
    import scanpy as sc

    cells = ad.AnnData(points)
    sc.pp.neighbors(cells, use_rep="X")

    def cluster(resolution: float) -> np.ndarray:
        sc.tl.leiden(cells, resolution=resolution, key_added="leiden", flavor="igraph", n_iterations=2)
        return cells.obs["leiden"].cat.codes.to_numpy()

    return cluster
