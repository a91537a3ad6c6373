"""Scores, markers and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from anndata import AnnData

from smash_gpu import evaluation, files, genes, models, ranking, reading, selection, slots, splits
from smash_gpu.dataset import Dataset
from smash_gpu.reading import Source, takes_source
from smash_gpu.recipe import STEPS, Filters, Importance, InversePCA, Ranking, Recipe

PROTOCOLS = ("leak-free", "paper")
PANEL_GENES = 30


@takes_source
def smash(
    adata: AnnData | str | Path,
    groupby: str,
    *,
    model: str | models.Model = models.DEFAULT,
    n_top: int = 5,
    within: str | None = None,
    unique: bool = False,
    positive_only: bool = False,
    n_models: int = 1,
    random_state: int = 0,
    filters: Mapping[str, Any] | None = None,
    inverse_pca: bool = True,
    model_options: Mapping[str, Any] | None = None,
    sample_fraction: float = ranking.MIN_SAMPLE_FRACTION,
    min_cells_per_sample: int = 1,
    key_added: str = slots.KEY,
    **source: Unpack[Source],
) -> AnnData | None:
    """Find marker genes for the groups of ``adata.obs[groupby]``: filters, inverse PCA, a model, ranking.

    The same as `pp.filter_genes`, `pp.inverse_pca`, `importance` and `rank_markers` one by one (SMaSH, bioRxiv
    2021.04.08.438978); see there for parameters that are not described here.

    Parameters
    ----------
    adata
        Annotated cells × genes, or the path of an h5ad file or zarr store.
    model
        "rf", "brf", "xgboost", "dnn", or an object with the methods of `smash_gpu.models.Model`.
    within
        Column of ``adata.obs`` with broad groups: one selection inside each, and groups named "broad / group".
    filters
        Options of `pp.filter_genes` other than its source, e.g. ``{"exclude": ["XIST"], "max_fraction": 0.9}``.
    inverse_pca
        Whether to narrow the candidates by `pp.inverse_pca`.
    model_options
        Options of the model, e.g. ``{"importance": "shap"}`` for "xgboost".
    source
        ``layer``, ``use_raw``, ``normalize``, ``gene_symbols``, ``min_cells``, ``sample_key``, ``batch_key``,
        ``device``: see `smash_gpu.reading.Source`.

    Returns
    -------
    None, or the annotated data if ``adata`` was a path. Fills ``.var["smash_candidate"]``, ``.var["smash_marker"]``,
    ``.varm["smash"]`` (genes × groups, NaN for genes that are no candidates), ``.uns["smash"]`` (``markers``,
    ``groups``, ``filters``, ``params``).

    Raises
    ------
    KeyError, ValueError, TypeError
        If the input cannot be used; the message says what to do, and nothing is written.
    """
    is_path = isinstance(adata, str | Path)
    adata = files.open_file(adata) if is_path else adata
    rules = Filters.of(filters or {})
    how = Recipe(
        rules,
        InversePCA(keep=rules.keep) if inverse_pca else None,
        Importance(model, dict(model_options or {}), n_models, random_state),
        Ranking(n_top, unique, positive_only, sample_fraction, min_cells_per_sample),
    )
    data = reading.read(adata, {"groupby": groupby, **source})
    parts = {"": data} if within is None else selection.inside(data, reading.broad_groups(adata, within))
    found = selection.merge({name: selection.select(part, how, name) for name, part in parts.items()})
    slots.start(adata, key_added)
    slots.record(adata, key_added, "source", {"groupby": groupby, **source})
    for step, options in how.steps.items():
        slots.record(adata, key_added, step, options)
    if within is not None:
        slots.record(adata, key_added, "within", {"column": within})
    slots.write_candidates(adata, found.candidates, found.ledger, key_added)
    slots.write_scores(adata, found.scores, found.groups, key_added)
    slots.write_markers(adata, found.markers, found.eligible, found.mean, key_added)
    return adata if is_path else None


@takes_source
def importance(
    adata: AnnData,
    groupby: str,
    *,
    model: str | models.Model = models.DEFAULT,
    n_models: int = 1,
    random_state: int = 0,
    model_options: Mapping[str, Any] | None = None,
    key_added: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """Train a classifier of the groups and score how much each candidate gene tells about each group.

    Trees see log-normalised expression, the network z-scores; 80 % of the cells train, stratified.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    model
        * "rf": random forest, "brf": balanced random forest; Gini importance × class mean of z.
        * "xgboost": boosted trees; gain × class mean of z, or TreeSHAP (``model_options={"importance": "shap"}``).
        * "dnn": neural network; mean |Shapley value| by DeepLIFT.
        * an object with ``fit``, ``importance`` and ``predict``: see `smash_gpu.models.Model`.
    n_models
        Models trained on different splits and seeds, whose scores are averaged; their standard deviation is kept.
    random_state
        Seed; two runs with one seed are equal. Model i uses ``random_state + i``.
    model_options
        Options of the model: `models.boosted.Boosted`, `models.network.Network`, or of scikit-learn's and
        imbalanced-learn's forests.
    key_added
        Name of the slots, as in `pp.filter_genes`.
    source
        As in `pp.filter_genes`; what it was told there holds here too.

    Returns
    -------
    None. Fills ``.varm["smash"]`` (genes × groups, float32; NaN for genes that are no candidates), with several models
    ``.varm["smash_spread"]``, ``.uns["smash"]["groups"]`` and ``.uns["smash"]["accuracy"]`` (of each model on held-out
    cells, with all candidates).
    """
    how = Importance(model, dict(model_options or {}), n_models, random_state)
    where = slots.source(adata, key_added, groupby=groupby, **source)
    data = reading.read(adata, where)
    scores = selection.importance(data, slots.candidates(adata, key_added), how)
    slots.record(adata, key_added, "source", where)
    slots.record(adata, key_added, "importance", how.noted)
    slots.record(adata, key_added, "within", {})
    slots.write_scores(adata, scores, data.groups, key_added)


@takes_source
def rank_markers(
    adata: AnnData,
    *,
    n_top: int = 5,
    unique: bool = False,
    positive_only: bool = False,
    sample_fraction: float = ranking.MIN_SAMPLE_FRACTION,
    min_cells_per_sample: int = 1,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """Rank the genes of each group by their score; equal scores by name.

    Parameters
    ----------
    n_top
        Markers a group.
    unique
        Whether a gene may serve one group only: groups then choose in turn.
    positive_only
        Whether genes whose mean is lower in the group than in the rest are passed over.
    sample_fraction, min_cells_per_sample
        With a ``sample_key``: a marker of a group is detected in the group's cells in at least ``sample_fraction`` of
        the samples that hold at least ``min_cells_per_sample`` of them (paper, Methods: 70 %); others make way.
    source
        ``sample_key``, if no earlier step was told it.

    Returns
    -------
    None. Fills ``.uns["smash"]["markers"]``, ``.var["smash_marker"]`` and ``.varm["smash_eligible"]``.
    """
    how = Ranking(n_top, unique, positive_only, sample_fraction, min_cells_per_sample)
    if slots.recorded(adata, key, "within"):
        raise ValueError(
            "these scores come from tl.smash(within=…); run that again with other options for the ranking."
        )
    scores = slots.scores(adata, key)
    where = slots.source(adata, key, **source)
    data = reading.read(adata, where)
    scored = [str(group) for group in slots.require(adata, "groups", key, "tl.importance")]
    if scored != list(data.groups):
        raise ValueError(
            f"the scores are of the groups {', '.join(scored)}, but {where['groupby']!r} now has "
            f"{', '.join(data.groups)}: run tl.importance again."
        )
    eligible, table = selection.rank_markers(data, scores, how)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "ranking", asdict(how))
    slots.write_markers(adata, table, eligible, data.stats.mean, key)


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
