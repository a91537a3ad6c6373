"""A `Dataset`'s training cells as scanpy wants them."""

from __future__ import annotations

from itertools import chain, islice

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import ranking

GROUP = "group"


def annotated(data: Dataset) -> ad.AnnData:
    """Expression ``e`` of the labelled cells as CSR, counts in ``.layers``, groups named by their code."""
    counts = sparse.csr_matrix(data.matrix[data.cells]).astype(np.float32)
    total = np.asarray(counts.sum(axis=1)).ravel()
    scale = data.target_sum / np.maximum(total, 1)
    expression = sparse.csr_matrix(sparse.diags_array(scale.astype(np.float32)) @ counts).log1p()
    codes = pd.Categorical.from_codes(data.labels, [str(c) for c in range(data.n_groups)])
    obs = pd.DataFrame({GROUP: codes}, index=[f"cell{i}" for i in data.cells])
    var = pd.DataFrame(index=data.names.astype(str))
    return ad.AnnData(expression, obs=obs, var=var, layers={"counts": counts})


def in_turn(scores: np.ndarray, data: Dataset, n_genes: int, spare: np.ndarray | None = None) -> np.ndarray:
    """The groups choose in turn, each its best gene that is still free, the group with the highest score first.

    Parameters
    ----------
    scores
        Groups × genes, NaN for no choice.
    spare
        Of further genes, which are chosen when there are no more of those; none has both.
    """
    has_score = (~np.isnan(scores)).any(axis=0)
    later = np.full_like(scores, np.nan) if spare is None else np.where(has_score, np.nan, spare)
    turns = chain(*(ranking.take_turns(part, data.names, n_genes) for part in (scores, later)))
    return np.array([gene for _, gene in islice(turns, n_genes)], dtype=int)


def scores_of(found: dict, data: Dataset) -> np.ndarray:
    """Groups × genes from the layout of ``.uns["rank_genes_groups"]``; NaN where a gene is not listed."""
    number = pd.Series(np.arange(len(data.names)), index=data.names.astype(str))
    scores = np.full((data.n_groups, len(data.names)), np.nan)
    for c in range(data.n_groups):
        names = pd.Series(found["names"][str(c)]).dropna()
        scores[c, number[names].to_numpy()] = np.asarray(found["scores"][str(c)], dtype=float)[names.index]
    return scores
