"""Does a panel keep the structure inside types: the neighbours of cells, their clusters, the genes that it lacks?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from smash_gpu.compute.xp import to_host
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split
from smash_gpu.evaluation.metrics import CLUSTERS, EXPLAINED, INSIDE, OVERLAP, per_group
from smash_gpu.evaluation.peers.correlation import linear_step
from smash_gpu.evaluation.peers.neighbours import leiden, neighbours

N_VARIABLE = 2000
N_COMPONENTS = 30
N_NEIGHBOURS = 15
N_TARGETS = 500
ALPHAS = np.logspace(-1, 5, 13)  # of the ridge
RESOLUTIONS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Structure:
    """What a panel should keep, for one split.

    Attributes
    ----------
    near
        Nearest held-out cells of each held-out cell in principal components; places in ``split.test``, cells × k.
    targets
        Numbers of the genes whose variance a panel should explain.
    X
        Their expression, cells × targets, float32.
    clusters
        Cluster of each held-out cell in principal components at each of `RESOLUTIONS`; resolutions × cells. None: not
        asked for.
    """

    near: np.ndarray
    targets: np.ndarray
    X: np.ndarray
    clusters: np.ndarray | None = None


def structure_of(
    data: Dataset, training: Dataset, split: Split, *, random_state: int, wanted: Collection[str] = INSIDE
) -> Structure:
    """The structure of all genes, learned on training cells.

    Variable genes are those with the largest variance of expression in training cells; the components are those of
    training cells, and held-out cells are projected on them. Labels take no part.
    """
    pooled = training.stats.pooled
    variance = pooled.square[0] / pooled.cells[0] - (pooled.total[0] / pooled.cells[0]) ** 2
    order = np.lexsort((data.names.astype(str), -variance))
    variable = np.sort(order[: min(N_VARIABLE, int((variance > 0).sum()))])
    X = to_host(data.expression(variable))
    centre = X[split.train].mean(axis=0)
    k = min(N_COMPONENTS, X.shape[1], len(split.train) - 1)
    axes = _axes(X[split.train] - centre, k, random_state)
    points = (X[split.test] - centre) @ axes
    near, _ = neighbours(points, _k(split))
    rng = np.random.default_rng(random_state)
    half = np.flatnonzero(np.isin(variable, order[: N_VARIABLE // 2]))
    drawn = np.sort(rng.permutation(half[np.argsort(data.names[variable[half]].astype(str))])[:N_TARGETS])
    clusters = clusters_of(points) if CLUSTERS in wanted else None
    return Structure(near, variable[drawn], X[:, drawn], clusters)


def kept(train: np.ndarray, test: np.ndarray, genes: np.ndarray, split: Split, whole: Structure) -> dict[str, float]:
    """How much of it a panel keeps.

    Parameters
    ----------
    train, test
        Expression of the panel in training and held-out cells, cells × genes.
    genes
        Their numbers.

    Returns
    -------
    ``neighbour_overlap``: mean share of the nearest held-out cells that are also nearest by the panel's expression.
    ``explained_variance``: share of the variance of the targets that the panel lacks, explained in held-out cells by a
    ridge regression on training cells; below 0 if it is worse than their means there; NaN without targets.
    ``cluster_nmi``, if clusters are known: normalised mutual information between clusters of held-out cells by the
    panel's expression and those in principal components, mean over the resolutions.
    """
    near, _ = neighbours(test, k := whole.near.shape[1])
    shared = [len(np.intersect1d(a, b)) for a, b in zip(near, whole.near, strict=True)]
    found = {
        OVERLAP: float(np.mean(shared) / k) if k else np.nan,
        EXPLAINED: _explained(train, test, whole.X[:, ~np.isin(whole.targets, genes)], split),
    }
    return found if whole.clusters is None else found | {CLUSTERS: _alike(clusters_of(test), whole.clusters)}


def captured(confusion: np.ndarray) -> float:
    """Share of the groups with a recall above 0.8, on a linear scale from 0.75 (0) to 0.85 (1), as in Spapros.

    Parameters
    ----------
    confusion
        Of the forest on held-out cells; groups × groups, true groups in rows. Groups without cells do not count.
    """
    recall = per_group(confusion)[0]
    return float(linear_step(recall[~np.isnan(recall)]).mean())


def clusters_of(points: np.ndarray) -> np.ndarray:
    """Leiden clusters of the 15-nearest-neighbour graph at each of `RESOLUTIONS`; resolutions × cells."""
    at = leiden(points)
    return np.stack([at(resolution) for resolution in RESOLUTIONS])


def _alike(found: np.ndarray, reference: np.ndarray) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(np.mean([normalized_mutual_info_score(*pair) for pair in zip(found, reference, strict=True)]))


def _explained(train: np.ndarray, test: np.ndarray, targets: np.ndarray, split: Split) -> float:
    from sklearn.linear_model import RidgeCV

    if not targets.shape[1]:
        return np.nan
    mean, std = train.mean(axis=0), train.std(axis=0)
    scale = 1 / np.where(std > 0, std, np.inf)
    known, true = targets[split.train].astype(np.float64), targets[split.test].astype(np.float64)
    model = RidgeCV(ALPHAS).fit((train - mean) * scale, known)
    left = ((true - model.predict((test - mean) * scale).reshape(true.shape)) ** 2).sum()
    whole = ((true - true.mean(axis=0)) ** 2).sum()
    return float(1 - left / whole) if whole else np.nan


def _axes(centred: np.ndarray, k: int, random_state: int) -> np.ndarray:
    """The leading principal axes; genes × k."""
    from sklearn.utils.extmath import randomized_svd

    _, _, found = randomized_svd(centred.astype(np.float64), k, n_iter=5, random_state=random_state)
    return found.T


def _k(split: Split) -> int:
    return min(N_NEIGHBOURS, len(split.test) - 1)
