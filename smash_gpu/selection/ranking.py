"""From scores to markers: order, ties, direction, and the sample rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smash_gpu.data.splits import MIN_SAMPLE_FRACTION
from smash_gpu.data.stats import GroupStats
from smash_gpu.selection.effects import Effects, specificity

UP, DOWN = "up", "down"


@dataclass(frozen=True)
class Eligible:
    """Which genes may be markers of which group, and the share of samples that express them (both groups × genes)."""

    allowed: np.ndarray
    samples: np.ndarray


def sample_rule(
    detected: np.ndarray, cells: np.ndarray, *, min_cells: int = 1, min_fraction: float = MIN_SAMPLE_FRACTION
) -> Eligible:
    """The heterogeneity rule: a marker is detected in enough of the samples (paper, Methods: ≥ 70 %).

    Parameters
    ----------
    detected
        Cells of each group and sample that express each gene; groups × samples × genes.
    cells
        Cells of each group and sample; groups × samples. Samples with fewer than ``min_cells`` cells of a group do not
        count for it; a group without any such sample has no markers.
    """
    counts = cells >= min_cells
    seen = ((detected > 0) & counts[:, :, None]).sum(axis=1)
    share = seen / np.maximum(counts.sum(axis=1), 1)[:, None]
    return Eligible(share >= min_fraction, share)


def order(scores: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Gene numbers by descending score along the last axis; ties by name, NaN last."""
    by_name = np.argsort(names, kind="stable")
    falling = np.argsort(-np.nan_to_num(scores[..., by_name], nan=-np.inf), axis=-1, kind="stable")
    return by_name[falling]


def first_of_each(scores: np.ndarray, names: np.ndarray, n_top: int, *, unique: bool = False) -> list[np.ndarray]:
    """The best ``n_top`` scored genes of every group; with ``unique`` every gene is used once, see `take_turns`."""
    if not unique:
        return [row[:n_top] for row in ranked(scores, names)]
    chosen: list[list[int]] = [[] for _ in scores]
    for group, gene in take_turns(scores, names, n_top):
        chosen[group].append(gene)
    return [np.array(row, dtype=int) for row in chosen]


def ranked(scores: np.ndarray, names: np.ndarray) -> list[np.ndarray]:
    """The genes with a score of every group, best first."""
    return [row[~np.isnan(score[row])] for row, score in zip(order(scores, names), scores, strict=True)]


def take_turns(scores: np.ndarray, names: np.ndarray, n_turns: int) -> Iterator[tuple[int, int]]:
    """Groups choose genes in turn, each gene once; yields ``(group, gene)`` in order of choice.

    Within a turn the group whose best remaining gene has the highest score goes first; ties by name.
    """
    queues = [deque(row) for row in ranked(scores, names)]
    taken: set[int] = set()
    for _ in range(n_turns):
        waiting = set(range(len(queues)))
        while waiting:
            for group in waiting:
                while queues[group] and queues[group][0] in taken:
                    queues[group].popleft()
            waiting = {group for group in waiting if queues[group]}
            if waiting:
                group = min(waiting, key=lambda c: (-scores[c, queues[c][0]], names[queues[c][0]], c))
                waiting.remove(group)
                taken.add(queues[group][0])
                yield group, int(queues[group].popleft())


def marker_table(
    markers: list[np.ndarray],
    scores: np.ndarray,
    stats: GroupStats,
    *,
    groups: np.ndarray,
    names: np.ndarray,
    auc: np.ndarray,
    samples: np.ndarray | None,
) -> pd.DataFrame:
    """One row per marker: group, rank, name, score, direction, fraction and mean in and out, effect sizes, samples."""
    group = np.repeat(np.arange(len(groups)), [len(row) for row in markers])
    gene = np.concatenate(markers).astype(int)
    chosen, gene_in_stats = np.unique(gene, return_inverse=True)
    stats = stats.of_genes(chosen)
    of_marker = group, gene_in_stats
    rest, found = stats.rest, Effects.of(stats)
    table = pd.DataFrame(
        {
            "group": pd.Categorical.from_codes(group, [str(g) for g in groups]),
            "rank": np.concatenate([np.arange(1, len(row) + 1) for row in markers]).astype(int),
            "name": names[gene],
            "score": scores[group, gene],
            "direction": np.where(found.up[of_marker], UP, DOWN),
            "fraction_in": stats.fraction[of_marker],
            "fraction_out": rest.fraction[of_marker],
            "mean_in": stats.mean[of_marker],
            "mean_out": rest.mean[of_marker],
            "log2_fold_change": found.log2_fold_change[of_marker],
            "auc": auc[group, gene].astype(float),
            "specificity": specificity(stats.mean)[gene_in_stats],
        }
    )
    if samples is not None:
        table["samples"] = samples[group, gene]
    return table
