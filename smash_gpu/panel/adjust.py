"""Class profiles from sums over strata, adjusted for batches; samples must agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smash_gpu.data.batches import warn_of_parts
from smash_gpu.data.stats import GroupStats
from smash_gpu.errors import warn
from smash_gpu.panel.classes import Classes, Strata
from smash_gpu.panel.profiles import Profiles
from smash_gpu.panel.request import MIN_CELLS_PER_SAMPLE


def profiles(
    stats: GroupStats,
    strata: Strata,
    classes: Classes,
    *,
    sample_fraction: float | None = None,
    min_cells_per_sample: int = MIN_CELLS_PER_SAMPLE,
) -> Profiles:
    """Means and variances of every class, and the limits that enough of its samples keep.

    Parameters
    ----------
    stats
        Sums over the cells of each stratum, `without` the offsets of batches.
    sample_fraction
        The sample rule: the share of the samples of a class that must lie on the side of its mean; None for no rule.
    min_cells_per_sample
        Samples with fewer cells of a class are not counted for that class.
    """
    n_classes = len(classes.names)
    cells = np.maximum(classes.n_cells, 1)[:, None]
    by_class = strata.members(n_classes)
    mean = by_class @ stats.total / cells
    variance = np.maximum(by_class @ stats.square / cells - mean**2, 0)
    if sample_fraction is None:
        return Profiles(mean, variance)
    by_sample = strata.members(n_classes, strata.sample)
    shape = (n_classes, -1, mean.shape[1])
    n = (by_sample @ stats.cells).reshape(n_classes, -1)
    sample_means = (by_sample @ stats.total).reshape(shape) / np.maximum(n, 1)[:, :, None]
    low, high = sample_limits(sample_means, n >= min_cells_per_sample, mean, sample_fraction)
    too_few = np.flatnonzero(~(n >= min_cells_per_sample).any(axis=1))
    if len(too_few):
        warn(
            f"no sample has {min_cells_per_sample} cells of {', '.join(classes.labels[too_few])}, so the sample rule "
            "is not applied there."
        )
    return Profiles(mean, variance, low, high)


def offsets(stats: GroupStats, strata: Strata, classes: Classes) -> np.ndarray:
    """`batch_offsets`; one row of zeros if all cells are of one batch."""
    return batch_offsets(stats, strata, classes) if strata.batch.any() else np.zeros((1, stats.total.shape[1]))


def without(stats: GroupStats, strata: Strata, offset: np.ndarray) -> GroupStats:
    """The sums of ``e`` and ``e²`` over the cells of each stratum if the offset of its batch is taken from ``e``."""
    of_batch, n = offset[strata.batch], stats.cells[:, None]
    square = stats.square - 2 * of_batch * stats.total + n * of_batch**2
    return replace(stats, total=stats.total - n * of_batch, square=square)


def batch_offsets(stats: GroupStats, strata: Strata, classes: Classes) -> np.ndarray:
    """The offset of every batch in the model ``e = μ_class + β_batch``, least squares over the cells; batches × genes.

    Only the classes of the first column are used. Batches that share no class, directly or through other batches,
    cannot be compared; each such set of batches is centred on its own, with a warning.
    """
    n_batches = int(strata.batch.max()) + 1
    first = next(iter(classes.spans.values()))
    row = np.where(strata.rows[:, 0] >= 0, strata.rows[:, 0], first.stop)
    n = np.zeros((first.stop + 1, n_batches))
    np.add.at(n, (row, strata.batch), stats.cells)
    n = n[: first.stop]
    warn_of_parts(n, "differences between classes of different parts may be batch effects.")
    used = strata.rows[:, 0] >= 0
    of_batch = np.zeros((n_batches, stats.total.shape[1]))
    np.add.at(of_batch, strata.batch[used], stats.total[used])
    class_mean = strata.members(len(classes.names))[: first.stop] @ stats.total / n.sum(axis=1, keepdims=True)
    share = n / n.sum(axis=1, keepdims=True)
    offset = np.linalg.pinv(np.diag(n.sum(axis=0)) - n.T @ share, hermitian=True) @ (of_batch - n.T @ class_mean)
    return offset - np.average(offset, axis=0, weights=n.sum(axis=0))


def sample_limits(
    sample_means: np.ndarray, counts: np.ndarray, mean: np.ndarray, fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """The largest value that ``fraction`` of the samples of a class reach, and the smallest that they do not exceed.

    Parameters
    ----------
    sample_means
        Classes × samples × genes.
    counts
        Whether a sample counts for a class; classes × samples.
    mean
        Used for classes for which no sample counts; classes × genes.

    Returns
    -------
    Two arrays, classes × genes.
    """
    low, high = mean.copy(), mean.copy()
    for c in np.flatnonzero(counts.any(axis=1)):
        ordered = np.sort(sample_means[c, counts[c]], axis=0)
        needed = max(1, int(np.ceil(fraction * len(ordered) - 1e-9)))
        low[c], high[c] = ordered[-needed], ordered[needed - 1]
    return low, high
