"""One order of the genes from those of several models: the mean of reciprocal ranks (reciprocal rank fusion).

Importances of different models have different units, so only their ranks are compared. A rank counts
``(K + 1) / (K + rank)``: 1 for the first gene, half of that at rank K + 2. So the first ranks count most, and a gene
must stand high in most of the models. ``benchmarks/consensus.py`` compares this with the mean rank and with robust rank
aggregation.

Cormack, Clarke & Büttcher, SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import namespace

K = 60  # of the publication
IN_WORDS = f"mean over the models of {K + 1} / ({K} + rank of the gene in the class)"


def combined(scores: Any) -> tuple[Any, Any]:
    """Mean and standard deviation over the models of `reciprocal_ranks`.

    Parameters
    ----------
    scores
        Of each model, larger is better; models × … × genes, NaN for genes that a model has not scored. Such a gene
        counts 0 in this model; it is NaN in the result if no model has scored it.

    Returns
    -------
    Two arrays without the axis of the models, float64, where ``scores`` is.
    """
    xp = namespace(scores)
    found = xp.stack([reciprocal_ranks(one) for one in scores])
    nowhere = xp.isnan(found).all(axis=0)
    found = xp.nan_to_num(found)
    spread = found.std(axis=0, ddof=1) if len(found) > 1 else xp.full(found.shape[1:], np.nan)
    return xp.where(nowhere, np.nan, found.mean(axis=0)), xp.where(nowhere, np.nan, spread)


def reciprocal_ranks(scores: Any) -> Any:
    """``(K + 1) / (K + rank)`` along the last axis, 1 for the largest score; equal scores share their mean rank.

    A score of 0 is no rank and stays 0. Negative scores are ranked from the other end and stay negative, so that the
    order of the genes is that of ``scores``. NaN stays NaN.
    """
    xp = namespace(scores)
    known = xp.nan_to_num(xp.asarray(scores, dtype=np.float64))
    if not known.size:
        return known
    rows = known.reshape(-1, known.shape[-1])
    found = xp.stack([_of_row(row) for row in rows]).reshape(known.shape)
    return xp.where(xp.isnan(scores), np.nan, found)


def _of_row(scores: Any) -> Any:
    xp = namespace(scores)
    high, low = ((K + 1) / (K + _ranks(values)) for values in (scores, -scores))
    return xp.where(scores > 0, high, xp.where(scores < 0, -low, 0.0))


def _ranks(scores: Any) -> Any:
    """Ranks from 1 for the largest; equal values share their mean rank."""
    xp = namespace(scores)
    falling = xp.sort(-scores)
    before, upto = (xp.searchsorted(falling, -scores, side=side) for side in ("left", "right"))
    return (before + 1 + upto) / 2


def add_agreement(
    markers: pd.DataFrame, by_model: Mapping[str, np.ndarray], allowed: np.ndarray, names: np.ndarray, n_top: int
) -> None:
    """Add the columns ``agreement`` and ``rank_…`` of each model to the table of markers, see `agreement`.

    Parameters
    ----------
    by_model
        Scores of each model alone; groups × genes.
    """
    group = markers["group"].cat.codes.to_numpy()
    gene = pd.Index(names).get_indexer(markers["name"])
    ranks, share = agreement(np.stack(list(by_model.values())), allowed, names, n_top)
    markers["agreement"] = share[group, gene]
    for name, rank in zip(by_model, ranks, strict=True):
        markers[f"rank_{name}"] = rank[group, gene]


def agreement(scores: np.ndarray, allowed: np.ndarray, names: np.ndarray, n_top: int) -> tuple[np.ndarray, np.ndarray]:
    """What each model alone would say: the rank of every gene among those that may be markers, and the share of models
    in which it is among the first ``n_top`` of them with a positive score.

    Parameters
    ----------
    scores
        Models × groups × genes.
    allowed
        Genes that may be markers; groups × genes.
    names
        Of the genes; equal scores are ordered by name.

    Returns
    -------
    Ranks from 1, 0 for genes that may not be markers (models × groups × genes, int64), and the share (groups × genes,
    float64).
    """
    by_name = np.argsort(names, kind="stable")
    known = np.where(allowed & ~np.isnan(scores), scores, -np.inf)[..., by_name]
    falling = by_name[np.argsort(-known, axis=-1, kind="stable")]
    ranks = np.empty(scores.shape, dtype=np.int64)
    np.put_along_axis(ranks, falling, np.arange(1, scores.shape[-1] + 1), axis=-1)
    ranks = np.where(allowed, ranks, 0)
    return ranks, ((ranks > 0) & (ranks <= n_top) & (scores > 0)).mean(axis=0)
