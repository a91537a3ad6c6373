"""The panel of a model: the objective of `tl.panel`, weighted by how much the model uses each gene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smash_gpu.data.dataset import Dataset
from smash_gpu.panel import choose_known
from smash_gpu.panel.request import ORDINARY, OUT, SPARE
from smash_gpu.runtime.whole import require_whole
from smash_gpu.selection.options import Recipe
from smash_gpu.selection.steps import Selection, select


def marker_panel(
    scores: np.ndarray,
    eligible: np.ndarray,
    spare: np.ndarray,
    *,
    names: np.ndarray,
    n_genes: int,
    mean: np.ndarray,
    variance: np.ndarray,
    importance: np.ndarray,
    nested: bool = True,
    device: str = "cpu",
) -> np.ndarray:
    """Numbers of exactly ``n_genes`` genes in order of choice: `panel.choose_known` on genes that may be markers.

    A gene that may not be a marker of a group separates it from groups in which it is higher, but not from others.

    Parameters
    ----------
    scores
        Of the candidates; groups × genes, NaN for others.
    eligible, spare
        Those of genes that may be markers, and of genes that differ too little: these come when no others are left.

    Raises
    ------
    ValueError, TypeError
        If fewer than ``n_genes`` genes may be chosen, or this is no whole number.
    """
    require_whole(n_genes=n_genes)
    is_eligible, is_spare = ~np.isnan(eligible), ~np.isnan(spare)
    tier = np.where(is_eligible.any(axis=0), ORDINARY, np.where(is_spare.any(axis=0), SPARE, OUT))
    n_scored = int((tier < OUT).sum())
    if n_genes > n_scored:
        raise ValueError(
            f"cannot choose a panel of {n_genes} genes: only {n_scored} have a score; relax the filters "
            "(pp.filter_genes) or the sample rule, or choose fewer genes."
        )
    may_be_high = is_eligible | is_spare | np.isnan(scores)
    known = {"mean": mean, "variance": variance, "importance": importance, "may_be_high": may_be_high}
    return choose_known(n_genes, **known, tier=tier, names=names, nested=nested, device=device)


def of_selection(found: Selection, names: np.ndarray, n_genes: int, **how: Any) -> np.ndarray:
    """`marker_panel` of the results of the four steps."""
    known: dict[str, Any] = {"mean": found.mean, "variance": found.variance, "importance": found.scores.importance}
    scores, eligible, spare = found.scores.mean, found.eligible, found.spare
    return marker_panel(scores, eligible, spare, names=names, n_genes=n_genes, **known, **how)


def choose_panel(recipe: Recipe, n_genes: int) -> Callable[[Dataset], np.ndarray]:
    """A function that takes data and returns the numbers of ``n_genes`` genes chosen by the recipe."""

    def choose(data: Dataset) -> np.ndarray:
        return of_selection(select(data, recipe, judged=False), data.names, n_genes, device=data.device)

    return choose
