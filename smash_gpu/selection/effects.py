"""By how much a gene differs in a group: the effect sizes that a marker needs, and those in the table of markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace, on_gpu, take, to_host
from smash_gpu.data.splits import MIN_CELLS_PER_CLASS, draw
from smash_gpu.data.stats import GroupStats

BYTES_FOR_AUC = 2**26  # of float32; more cells are a sample
VALUES_AT_ONCE = 2**18  # of cells × genes; each takes 60 bytes while ranks are summed
VALUES_AT_ONCE_ON_DEVICE = 2**24
SIGN = np.uint32(2**31)


def directions(stats: GroupStats) -> np.ndarray:
    """True where mean expression in the group is at least that of all other cells; groups × genes."""
    return stats.mean >= stats.rest.mean


@dataclass(frozen=True)
class Effects:
    """Differences between a group and all other cells; groups × genes.

    Attributes
    ----------
    up
        Whether mean expression in the group is at least that of the other cells.
    log2_fold_change
        Of the means of ``e``, log1p of counts per 10,000, brought to base 2: a fold change with a pseudo-count of 1.
    fraction_difference
        Share of the cells that express the gene, in the group minus outside.
    nearness
        Place of the mean of the group between the lowest (0) and the highest (1) mean of a group; 1 if all are equal.
    """

    up: np.ndarray
    log2_fold_change: np.ndarray
    fraction_difference: np.ndarray
    nearness: np.ndarray

    @classmethod
    def of(cls, stats: GroupStats) -> Effects:
        """Those of every group and gene."""
        mean, rest = stats.mean, stats.rest
        low, span = mean.min(axis=0), np.ptp(mean, axis=0)
        return cls(
            directions(stats),
            (mean - rest.mean) / np.log(2),
            stats.fraction - rest.fraction,
            np.where(span > 0, (mean - low) / np.where(span > 0, span, 1), 1.0),
        )

    def large(self, log2_fold_change: float, fraction_difference: float, nearness: float) -> np.ndarray:
        """Where all three are at least so large, up or down; of a gene that is low in the group near the lowest."""
        sign = np.where(self.up, 1, -1)
        found = sign * self.log2_fold_change >= log2_fold_change
        found &= sign * self.fraction_difference >= fraction_difference
        return found & (np.where(self.up, self.nearness, 1 - self.nearness) >= nearness)


def specificity(mean: np.ndarray) -> np.ndarray:
    """τ of every gene: 1 if one group alone expresses it, 0 if all do alike; NaN if none does (Yanai et al. 2005).

    Parameters
    ----------
    mean
        Mean expression; groups × genes.
    """
    highest = mean.max(axis=0)
    share = np.divide(mean, highest, out=np.full(mean.shape, np.nan), where=highest > 0)
    return (1 - share).sum(axis=0) / max(len(mean) - 1, 1)


def auc(X: Any, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Area under the ROC curve of each gene for each group against all other cells; groups × genes.

    The chance that a cell of the group has a higher value than another cell; equal values count as half.

    Parameters
    ----------
    X
        Expression; cells × genes, float32, on host or device.
    group
        Code of the group of each cell; every group has cells.
    """
    n_cells, n_genes = X.shape
    sizes = np.bincount(group, minlength=n_groups)
    step = max(1, (VALUES_AT_ONCE_ON_DEVICE if on_gpu(X) else VALUES_AT_ONCE) // n_cells)
    code = namespace(X).asarray(group.astype(np.uint64))
    ranks = [_rank_sums(X[:, start : start + step], code, n_groups) for start in range(0, n_genes, step)]
    below = np.concatenate([to_host(sums) for sums in ranks], axis=1) - (sizes * (sizes + 1) / 2)[:, None]
    return below / (sizes * (n_cells - sizes))[:, None]


def sampled_auc(X: Any, group: np.ndarray) -> np.ndarray:
    """`auc` of all cells, or of as many as `BYTES_FOR_AUC` hold, drawn as for training; float32.

    Parameters
    ----------
    X
        Cells × genes, anything that `xp.take` takes rows of, on the host, in a file or on a device.
    """
    n_groups, n_cells = int(group.max()) + 1, BYTES_FOR_AUC // (4 * X.shape[1])
    if isinstance(X, np.ndarray) and len(X) <= n_cells:
        return auc(X, group, n_groups).astype(np.float32)
    cells = draw(group, np.arange(len(X)), max(n_cells, 1), 0, balanced=False, at_least=MIN_CELLS_PER_CLASS)
    return auc(take(X, cells), group[cells], n_groups).astype(np.float32)


def _rank_sums(X: Any, code: Any, n_groups: int) -> Any:
    """Sums of the mid-ranks of the cells of each group; groups × genes. Exact, so that their order does not matter.

    Value and group are sorted as one number: much faster than an order of the cells.
    """
    xp = namespace(X)
    n_cells, n_genes = X.shape
    bits = (xp.ascontiguousarray(X.T, dtype=np.float32) + np.float32(0)).view(np.uint32)  # + 0 makes of −0 a 0
    rising = xp.where((bits & SIGN) > 0, ~bits, bits | SIGN)
    both = (rising.astype(np.uint64) << np.uint64(32)) | code
    both.sort(axis=1)
    value, label = both >> np.uint64(32), (both & np.uint64(2**32 - 1)).astype(np.int64)
    is_new = xp.ones(both.shape, dtype=bool)
    is_new[:, 1:] = value[:, 1:] != value[:, :-1]
    first = xp.flatnonzero(is_new)
    length = xp.diff(xp.append(first, xp.asarray([is_new.size])))
    rank = (first % n_cells + (length + 1) / 2)[xp.cumsum(is_new.ravel()) - 1]
    place = (xp.arange(n_genes)[:, None] * n_groups + label).ravel()
    return xp.bincount(place, weights=rank, minlength=n_genes * n_groups).reshape(n_genes, n_groups).T
