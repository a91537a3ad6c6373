"""How well genes tell groups apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Unpack

import numpy as np
from anndata import AnnData

from smash_gpu import evaluation
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.data import splits
from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import warn
from smash_gpu.evaluation import Condition, Judging
from smash_gpu.evaluation.classifiers import check
from smash_gpu.evaluation.cross_validation import LIST, SELECTION
from smash_gpu.selection.options import PANEL_GENES
from smash_gpu.tl._choosers import Choose, OwnFunction, given, own, repeated_selection

PROTOCOLS = ("leak-free", "paper")
Genes = Iterable[str] | OwnFunction | None


@takes_source
def evaluate(
    adata: AnnData,
    groupby: str,
    *,
    genes: Genes | Mapping[str, Genes] = None,
    n_genes: int | Iterable[int] | None = None,
    classifier: str | Iterable[str] = "knn",
    protocol: str = "leak-free",
    n_splits: int = 3,
    n_seeds: int = 1,
    n_random: int = 0,
    thin: float | Iterable[float] = (),
    dropout: float | Iterable[float] = (),
    random_state: int = 0,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """How well a classifier that sees nothing but a list of genes (their z-scores) tells the groups apart.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    genes
        None: the selection of the last `smash` is repeated inside the training cells of every split, so that no
        held-out cell took part in its choice. A list is judged as it is: if it was chosen on these cells, the result is
        optimistic. A function of (annotated training cells, number of genes) to gene names, best first, is called in
        every split as the selection is. A mapping from names to any of these is judged side by side on the same splits.
    n_genes
        Length, or several lengths, of the prefixes that are judged (a learning curve); each selection runs once a
        split, for the longest. A given list must be in order of preference then. None: the whole of a given list, and
        30 genes of a selection.
    classifier
        "knn" (k = 3), "logreg" (logistic regression), "forest" (100 trees), or several; cuML's on a device.
    protocol
        "leak-free": ``n_splits`` stratified 70/30 splits, or with a ``sample_key`` folds of whole samples; z-scores
        from the training cells. "paper": one stratified 70/30 split with seed 42, z-scores from all cells. Neither
        corrects batches in what the classifier sees.
    n_splits, n_seeds
        Splits, and how often they are made anew with the following seeds. With as many folds as samples there is
        nothing to make anew.
    n_random
        Random panels beside every list and split, of the same size and matched in mean expression gene by gene (in 20
        bins), as a baseline.
    thin
        Shares of the counts, below 1, at which everything is judged once more: binomial thinning of all cells, training
        cells included, so that the panel is judged and not the step from one platform to another. Raw counts only.
    dropout
        Chances of each gene to fail (to read zero in all cells), at which everything is judged once more; also in
        combination with each of ``thin``. The genes are chosen on the intact data in either case.
    random_state
        Seed of the first split; the others follow.
    source
        As in `pp.filter_genes`; what an earlier step was told holds here too.

    Returns
    -------
    None. Fills ``.uns["smash"]``: ``["evaluation"]`` (a row a list, split, condition, classifier and number of genes,
    with every metric of `evaluation.METRICS`), ``["confusion"]`` (rows × groups × groups), ``["evaluation_groups"]``,
    ``["evaluation_panels"]`` (the genes that were judged). Read them by `get.evaluation`, `get.comparison`,
    `get.learning_curve`, `get.differences`, `get.group_metrics`, `get.unresolved_pairs`, `get.confusion`.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}.")
    how = Judging(
        tuple([classifier] if isinstance(classifier, str) else classifier), _sizes(n_genes), _conditions(thin, dropout),
        _at_least_none(n_random), protocol == "paper", random_state,
    )  # fmt: skip
    for name in how.classifiers:
        check(name)
    data = read(adata, slots.source(adata, key, groupby=groupby, **source))
    choosers = _choosers(adata, data, genes, how.n_genes, key)
    parts = list(_splits(data, protocol, n_splits, n_seeds, random_state))
    found = evaluation.evaluate(data, choosers, parts, how=how)
    options = {
        "protocol": protocol, "n_splits": len(parts), "random_state": random_state, "genes": tuple(choosers),
        "classifier": how.classifiers, "n_random": n_random,
        "inside_splits": tuple(name for name, one in _named(genes).items() if one is None or isinstance(one, Callable)),
    }  # fmt: skip
    panels = found.panels.assign(name=data.names[found.panels["gene"]]).drop(columns="gene")
    slots.write_evaluation(
        adata, found.table, found.confusions, groups=data.groups, panels=panels, options=options, key=key
    )


def _sizes(n_genes: int | Iterable[int] | None) -> tuple[int, ...]:
    if n_genes is None:
        return ()
    sizes = (int(n_genes),) if np.isscalar(n_genes) else tuple(sorted(set(map(int, n_genes))))
    if not sizes or sizes[0] < 1:
        raise ValueError(f"n_genes={n_genes!r}: a panel has at least one gene.")
    return sizes


def _conditions(thin: float | Iterable[float], dropout: float | Iterable[float]) -> tuple[Condition, ...]:
    levels = [(thin,) if np.isscalar(thin) else thin, (dropout,) if np.isscalar(dropout) else dropout]
    kept = dict.fromkeys([1.0, *map(float, levels[0])])
    lost = dict.fromkeys([0.0, *map(float, levels[1])])
    return tuple(Condition(t, d) for t, d in product(kept, lost))


def _at_least_none(n_random: int) -> int:
    if n_random < 0:
        raise ValueError(f"n_random={n_random} is a number of panels.")
    return n_random


def _choosers(
    adata: AnnData, data: Dataset, wanted: Genes | Mapping[str, Genes], sizes: tuple[int, ...], key: str
) -> dict[str, Choose]:
    """A function for each list by its name; complaints and warnings about their sizes."""
    lists = _named(wanted)
    if not lists:
        raise ValueError("genes: there is no list to evaluate.")
    longest = max(sizes, default=PANEL_GENES)
    choosers, lengths = {}, {}
    for name, one in lists.items():
        what = f"genes[{name!r}]" if isinstance(wanted, Mapping) else "genes"
        choosers[name] = choose = (
            repeated_selection(adata, longest, key) if one is None
            else own(adata, one, longest, what) if isinstance(one, Callable)
            else given(data, one, what)
        )  # fmt: skip
        lengths[name] = longest if one is None or isinstance(one, Callable) else len(choose(data))
    _compare(lengths, sizes)
    return choosers


def _named(wanted: Genes | Mapping[str, Genes]) -> dict[str, Genes]:
    if isinstance(wanted, Mapping):
        return {str(name): one for name, one in wanted.items()}
    return {SELECTION if wanted is None else LIST: wanted}


def _compare(lengths: Mapping[str, int], sizes: tuple[int, ...]) -> None:
    listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
    shortest = min(lengths.values())
    if not sizes and len(set(lengths.values())) > 1:
        warn(
            f"the lists differ in length ({listed}), and more genes alone tell more apart: pass n_genes={shortest} to "
            "judge them at an equal budget."
        )
    if sizes and shortest < sizes[0]:
        raise ValueError(f"n_genes={sizes[0]}, but a list is shorter ({listed}).")
    if sizes and shortest < sizes[-1]:
        warn(f"each list is judged at no more genes than it holds ({listed}).")


def _splits(data: Dataset, protocol: str, n_splits: int, n_seeds: int, random_state: int) -> Iterable[splits.Split]:
    share = evaluation.TEST_FRACTION
    if protocol == "paper":
        return splits.repeated(data.labels, n_splits=1, test_fraction=share, random_state=evaluation.PAPER_SEED)
    fewest = 1 if data.sample is None else 2
    if n_splits < fewest:
        raise ValueError(f"n_splits={n_splits}: at least {fewest} are needed" + " with a sample_key." * (fewest == 2))
    if n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds}: at least one is needed.")
    if data.sample is None:
        n = n_splits * n_seeds
        return splits.repeated(data.labels, n_splits=n, test_fraction=share, random_state=random_state)
    sample = data.sample.codes[data.cells]
    return splits.by_sample(data.labels, sample, n_splits=n_splits, n_seeds=n_seeds, random_state=random_state)
