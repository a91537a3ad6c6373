"""How well genes tell groups apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Unpack

import numpy as np
from anndata import AnnData

from smash_gpu import evaluation, genes, reading, selection, slots, splits
from smash_gpu.dataset import Dataset
from smash_gpu.reading import Source, takes_source
from smash_gpu.recipe import STEPS, Recipe

PROTOCOLS = ("leak-free", "paper")
PANEL_GENES = 30


@takes_source
def evaluate(
    adata: AnnData,
    groupby: str,
    *,
    genes: Iterable[str] | None = None,
    n_genes: int = PANEL_GENES,
    protocol: str = "leak-free",
    n_splits: int = 3,
    random_state: int = 0,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """How well a k-nearest-neighbour classifier (k = 3, on z-scores of the genes) tells the groups apart.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    genes
        The gene list to judge. It is taken as it is: if it was chosen on these cells, the result is optimistic. None:
        the selection of the last `smash` is repeated inside the training cells of every split, and a panel of
        ``n_genes`` judged, so that no held-out cell took part in its choice.
    n_genes
        Size of that panel.
    protocol
        "leak-free": ``n_splits`` stratified 70/30 splits, or with a ``sample_key`` folds of whole samples; z-scores
        from the training cells. "paper": one stratified 70/30 split with seed 42, z-scores from all cells. Neither
        corrects batches in what the classifier sees.
    random_state
        Seed of the first split; the others follow.
    source
        As in `pp.filter_genes`; what an earlier step was told holds here too.

    Returns
    -------
    None. Fills ``.uns["smash"]["evaluation"]`` (a row a split: `evaluation.READINGS`) and ``["confusion"]``
    (groups × groups); read them by `get.evaluation` and `get.confusion`.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}.")
    data = reading.read(adata, slots.source(adata, key, groupby=groupby, **source))
    choose = _selector(adata, n_genes, key) if genes is None else _always(data, genes)
    parts = _splits(data, protocol, n_splits, random_state)
    found = evaluation.evaluate(data, choose, parts, scale_on_all=protocol == "paper")
    chosen = "inside every split" if genes is None else "given"
    options = {"protocol": protocol, "n_splits": len(found.table), "random_state": random_state, "genes": chosen}
    slots.write_evaluation(adata, found.table, found.confusion, groups=data.groups, options=options, key=key)


def _splits(data: Dataset, protocol: str, n_splits: int, random_state: int) -> Iterable[splits.Split]:
    share = evaluation.TEST_FRACTION
    if protocol == "paper":
        return splits.repeated(data.labels, n_splits=1, test_fraction=share, random_state=evaluation.PAPER_SEED)
    fewest = 1 if data.sample is None else 2
    if n_splits < fewest:
        raise ValueError(f"n_splits={n_splits}: at least {fewest} are needed" + " with a sample_key." * (fewest == 2))
    if data.sample is None:
        return splits.repeated(data.labels, n_splits=n_splits, test_fraction=share, random_state=random_state)
    sample = data.sample[data.cells]
    n_splits = min(n_splits, len(np.unique(sample)))
    return splits.by_sample(data.labels, sample, n_splits=n_splits, random_state=random_state)


def _always(data: Dataset, wanted: Iterable[str]) -> Callable[[Dataset], np.ndarray]:
    index = np.flatnonzero(genes.named(wanted, data.names, data.symbols, "genes"))
    if not len(index):
        raise ValueError("the list of genes to evaluate is empty.")
    return lambda _: index


def _selector(adata: AnnData, n_genes: int, key: str) -> Callable[[Dataset], np.ndarray]:
    slots.require(adata, "markers", key, "tl.smash (or pass genes=)")
    if slots.recorded(adata, key, "within"):
        raise ValueError("a selection inside broad groups cannot be repeated in splits of all cells: pass genes=.")
    steps = {step: slots.recorded(adata, key, step) for step in STEPS}
    return selection.choose_panel(Recipe.of(steps), n_genes)
