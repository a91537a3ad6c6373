"""How stable a panel is: how much of it would be chosen again from other cells or samples.

The whole choice is repeated on halves, drawn without replacement. A bootstrap would repeat cells, and trees grow pure
leaves on repeated cells, also when these are weighted instead. To first order, halves drawn without replacement vary as
much as a bootstrap of all cells (Buja & Stuetzle 2006; Friedman & Hall 2007). Halves come in complementary pairs (Shah
& Samworth 2013): the two panels of a pair share no cell, so their overlap is that of two independent studies, each with
half as many cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation.cross_validation import training_data
from smash_gpu.runtime.progress import track

FEWEST_SAMPLES = 4
FEWEST_CELLS = 4
TAIL = 0.05
MIN_CORRELATION = 0.5


@dataclass(frozen=True)
class Resampled:
    """Ordered gene numbers chosen on all cells (genes) and on each half (halves × genes); pairs are adjacent."""

    panel: np.ndarray
    halves: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """Numbers of all genes that were chosen at least once, sorted."""
        return np.union1d(self.panel, self.halves)

    def ranks(self, genes: np.ndarray) -> np.ndarray:
        """Rank of the numbered genes in each half, from 1; panel length + 1 if not chosen."""
        match = self.halves[:, :, None] == genes
        return np.where(match.any(axis=1), match.argmax(axis=1) + 1, self.halves.shape[1] + 1)


def resample(
    data: Dataset,
    choose: Callable[[Dataset], np.ndarray],
    *,
    n_resamples: int,
    random_state: int = 0,
    panel: np.ndarray | None = None,
) -> Resampled:
    """Choose on all cells, and on ``n_resamples`` halves of the cells of each group, or of the samples if given.

    Parameters
    ----------
    panel
        What ``choose`` returns for all cells, if it is known.

    Raises
    ------
    ValueError
        If there are fewer than four samples.
    """
    rng = np.random.default_rng(random_state)
    sample = None if data.sample is None else data.sample.codes[data.cells]
    pairs = [
        halves(data.labels, rng) if sample is None else halves_of_samples(sample, rng) for _ in range(n_resamples // 2)
    ]
    parts = [half for pair in pairs for half in pair]
    panel = np.asarray(choose(data) if panel is None else panel)
    chosen = [np.asarray(choose(training_data(data, half))) for half in track(parts, "resampling", unit="half")]
    return Resampled(panel, np.array(chosen))


def halves(group: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of every group; an odd cell goes to either half. Groups with fewer than four cells are in both halves.

    Parameters
    ----------
    group
        Group code of each cell.

    Returns
    -------
    Sorted cell numbers of both halves.
    """
    first, second = [], []
    for code in np.unique(group):
        cells = rng.permutation(np.flatnonzero(group == code))
        if len(cells) < FEWEST_CELLS:
            first.append(cells)
            second.append(cells)
            continue
        cut = (len(cells) + rng.integers(2)) // 2
        first.append(cells[:cut])
        second.append(cells[cut:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def halves_of_samples(sample: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The cells of each half of the samples; an odd sample goes to either half.

    Raises
    ------
    ValueError
        If there are fewer than four samples.
    """
    names = rng.permutation(np.unique(sample))
    require_samples(len(names))
    is_first = np.isin(sample, names[: (len(names) + rng.integers(2)) // 2])
    return np.flatnonzero(is_first), np.flatnonzero(~is_first)


def require_samples(n_samples: int) -> None:
    """Raise a ValueError if there are too few samples for halves."""
    if n_samples < FEWEST_SAMPLES:
        raise ValueError(f"there are {n_samples} samples; halves need at least {FEWEST_SAMPLES}. Omit sample_key.")


def gene_table(found: Resampled, names: np.ndarray) -> pd.DataFrame:
    """One row per gene that was chosen at least once, the most frequent first.

    Returns
    -------
    ``name``; ``rank`` in the panel from all cells, 0 if absent; ``frequency``, the share of halves that chose it;
    ``rank_median``, ``rank_low``, ``rank_high``: median, 5 % and 95 % quantile of its rank over the halves, where panel
    length + 1 means not chosen.
    """
    genes = found.chosen
    ranks = found.ranks(genes)
    at = {gene: place for place, gene in enumerate(found.panel.tolist(), start=1)}
    low, median, high = np.quantile(ranks, [TAIL, 0.5, 1 - TAIL], axis=0, method="inverted_cdf")
    table = pd.DataFrame(
        {
            "name": names[genes],
            "rank": [at.get(gene, 0) for gene in genes.tolist()],
            "frequency": (ranks <= found.halves.shape[1]).mean(axis=0),
            "rank_median": median.astype(int),
            "rank_low": low.astype(int),
            "rank_high": high.astype(int),
        }
    )
    return table.sort_values(["frequency", "rank_median", "name"], ascending=[False, True, True], ignore_index=True)


def overlap_table(found: Resampled, n_genes: int) -> pd.DataFrame:
    """Number of genes that the two panels of each pair share, and their Jaccard index; one row per pair.

    Parameters
    ----------
    n_genes
        Number of genes in the data; two random panels of n genes share n²/n_genes (column ``shared_by_chance``).
    """
    pairs = [np.intersect1d(*pair) for pair in _pairs(found.halves)]
    size = found.halves.shape[1]
    shared = np.array([len(both) for both in pairs])
    return pd.DataFrame(
        {
            "pair": np.arange(len(pairs)),
            "n_genes": size,
            "shared": shared,
            "jaccard": shared / (2 * size - shared),
            "shared_by_chance": size**2 / n_genes,
        }
    )


def substitutes(found: Resampled, mean: np.ndarray, names: np.ndarray, n_substitutes: int) -> pd.DataFrame:
    """For every gene of the panel, the most similar genes that some half chose but the panel does not contain.

    Similarity is the Pearson correlation of mean expression over the groups, at least 0.5. Genes with the same profile
    separate the same groups, and a gene that some half chose is strong enough to do so. Ties are ordered by frequency,
    then by name. A gene without a similar gene has no substitute.

    Parameters
    ----------
    mean
        Mean expression; groups × genes.

    Returns
    -------
    ``name``, ``substitute``, ``correlation``; ``frequency`` of the substitute; ``when_absent`` and ``when_present``:
    the share of halves that chose the substitute among the halves that did not, or did, choose the gene (NaN if there
    are none). For a substitute that takes the gene's place, the first is larger than the second.
    """
    others = np.setdiff1d(found.chosen, found.panel)
    size = found.halves.shape[1]
    has, has_other = (found.ranks(genes) <= size for genes in (found.panel, others))
    alike = _correlation(mean[:, found.panel], mean[:, others])
    frequency = has_other.mean(axis=0)
    rows = []
    for number, gene in enumerate(found.panel):
        order = np.lexsort((names[others].astype(str), -frequency, -np.nan_to_num(alike[number], nan=-2)))
        for other in order[alike[number, order] >= MIN_CORRELATION][:n_substitutes]:
            row = {"name": names[gene], "substitute": names[others[other]], "correlation": alike[number, other]}
            row |= {"frequency": frequency[other], "when_absent": _share(has_other[~has[:, number], other])}
            rows.append(row | {"when_present": _share(has_other[has[:, number], other])})
    columns = ["name", "substitute", "correlation", "frequency", "when_absent", "when_present"]
    return pd.DataFrame(rows, columns=columns).astype({"correlation": float, "frequency": float})


def _pairs(halves: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(halves[::2], halves[1::2], strict=True)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of the columns; NaN for constant columns."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = ((x - x.mean(axis=0)) / np.linalg.norm(x - x.mean(axis=0), axis=0) for x in (first, second))
        return a.T @ b


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
