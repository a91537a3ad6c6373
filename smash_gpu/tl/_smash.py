"""Scores and markers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

from anndata import AnnData

from smash_gpu import models
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import broad_groups, read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.data import splits
from smash_gpu.data.stages import Work
from smash_gpu.io import concat
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, Importance, InversePCA, Ranking, Recipe


@takes_source
def smash(
    adata: AnnData | concat.Paths,
    groupby: str,
    *,
    model: str | models.Model = models.DEFAULT,
    n_top: int = 5,
    within: str | None = None,
    unique: bool = False,
    positive_only: bool = False,
    n_models: int = 1,
    max_cells: int | None = None,
    random_state: int = 0,
    filters: Mapping[str, Any] | None = None,
    inverse_pca: bool = True,
    model_options: Mapping[str, Any] | None = None,
    sample_fraction: float = splits.MIN_SAMPLE_FRACTION,
    min_cells_per_sample: int = 1,
    work: str | Path | Work | None = None,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> AnnData | None:
    """Find marker genes for the groups of ``adata.obs[groupby]``: filters, inverse PCA, a model, ranking.

    The same as `pp.filter_genes`, `pp.inverse_pca`, `importance` and `rank_markers` one by one (SMaSH, bioRxiv
    2021.04.08.438978); see there for parameters that are not described here.

    Parameters
    ----------
    adata
        Annotated cells × genes, or the path of an h5ad file or zarr store, or several of them as one data set: a list
        of paths, or a pattern such as ``"run*/counts.h5ad"``. Genes of several files are joined by name, and counts are
        scaled by the sum of the common ones; see `smash_gpu.io.concat.open_cells`.
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
    work
        Folder that keeps every finished stage (group and sample statistics, candidates, the scores of each model), so
        that the same call, whenever it was stopped, goes on from there and ends with the same markers. It may serve any
        number of data sets and calls. A stage is made anew when its data, its parameters or the versions of packages
        are others (`smash_gpu.data.fingerprint.sampled`: how data on disk are recognised).
    source
        ``layer``, ``use_raw``, ``normalize``, ``gene_symbols``, ``min_cells``, ``sample_key``, ``batch_key``,
        ``device``: see `smash_gpu.annotated.source.Source`.

    Returns
    -------
    None, or the annotated data if paths were given; where its matrices stay in the files because they are large (see
    `smash_gpu.read`), ``write_h5ad`` writes annotation and results without them. Fills
    ``.var["smash_candidate"]``, ``.var["smash_marker"]``, ``.varm["smash"]`` (genes × groups, NaN for genes that are no
    candidates), ``.uns["smash"]`` (``markers``, ``groups``, ``filters``, ``params``).

    Raises
    ------
    KeyError, ValueError, TypeError
        If the input cannot be used; the message says what to do, and nothing is written.
    smash_gpu.errors.ChangedError
        If the file was changed meanwhile.
    """
    work = Work.of(work, Path(adata).name if isinstance(adata, str | Path) else "")
    is_path = not isinstance(adata, AnnData)
    adata = concat.open_cells(adata, {"groupby": [groupby, within], **source}) if is_path else adata
    rules = Filters.of(filters or {})
    how = Recipe(
        rules,
        InversePCA(keep=rules.keep) if inverse_pca else None,
        Importance(model, dict(model_options or {}), n_models, random_state, max_cells),
        Ranking(n_top, unique, positive_only, sample_fraction, min_cells_per_sample),
    )
    data = read(adata, {"groupby": groupby, **source}, work)
    parts = {"": data} if within is None else steps.inside(data, broad_groups(adata, within))
    found = steps.merge({name: steps.select(part, how, name) for name, part in parts.items()})
    slots.start(adata, key)
    slots.record(adata, key, "source", {"groupby": groupby, **source})
    for step, options in how.steps.items():
        slots.record(adata, key, step, options)
    if within is not None:
        slots.record(adata, key, "within", {"column": within})
    slots.write_candidates(adata, found.candidates, found.ledger, key)
    slots.write_scores(adata, found.scores, found.groups, key)
    profiles = {"mean": found.mean, "fraction": found.fraction}
    slots.write_markers(adata, found.markers, found.eligible, **profiles, key=key)
    return adata if is_path else None


@takes_source
def importance(
    adata: AnnData,
    groupby: str,
    *,
    model: str | models.Model = models.DEFAULT,
    n_models: int = 1,
    max_cells: int | None = None,
    random_state: int = 0,
    model_options: Mapping[str, Any] | None = None,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """Train a classifier of the groups and score how much each candidate gene tells about each group.

    Trees see log-normalised expression, the network z-scores; 80 % of the cells train, stratified. The forests learn
    from 100,000 cells at most, boosted trees and the network from all (``max_cells``).

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    model
        * "rf": random forest, "brf": balanced random forest; Gini importance × class mean of z.
        * "xgboost": boosted trees; summed gain × class mean of z, the paper's average gain
          (``model_options={"importance": "gain"}``), or TreeSHAP (``"shap"``).
        * "dnn": neural network; mean |Shapley value| by DeepLIFT × class mean of z, or the paper's mean |Shapley value|
          alone (``model_options={"by_expression": False}``).
        * an object with ``fit``, ``importance`` and ``predict``: see `smash_gpu.models.Model`.
    n_models
        Models trained on different splits and seeds, whose scores are averaged; their standard deviation is kept.
    max_cells
        Cells that a model is given at most, to learn from and to hold out. Of more, each model draws its own sample, in
        proportion to the groups, with at least 200 cells of each group or all it has, and a warning says so. Default:
        100,000 for "rf" and "brf", all for the others and for objects. All for a forest: any number as large as the
        data.
    random_state
        Seed; two runs with one seed are equal. Model i uses ``random_state + i``.
    model_options
        Options of the model: `models.boosted.Boosted`, `models.network.Network`, or of scikit-learn's and
        imbalanced-learn's forests.
    key
        Name of the slots, as in `pp.filter_genes`.
    source
        As in `pp.filter_genes`; what it was told there holds here too.

    Returns
    -------
    None. Fills ``.varm["smash"]`` (genes × groups, float32; NaN for genes that are no candidates), with several models
    ``.varm["smash_spread"]``, ``.uns["smash"]["groups"]`` and ``.uns["smash"]["accuracy"]`` (of each model on held-out
    cells, with all candidates).
    """
    how = Importance(model, dict(model_options or {}), n_models, random_state, max_cells)
    where = slots.source(adata, key, groupby=groupby, **source)
    data = read(adata, where)
    scores = steps.importance(data, slots.candidates(adata, key), how)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "importance", how.noted)
    slots.record(adata, key, "within", {})
    slots.write_scores(adata, scores, data.groups, key)


@takes_source
def rank_markers(
    adata: AnnData,
    *,
    n_top: int = 5,
    unique: bool = False,
    positive_only: bool = False,
    sample_fraction: float = splits.MIN_SAMPLE_FRACTION,
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
    data = read(adata, where)
    scored = [str(group) for group in slots.require(adata, "groups", key, "tl.importance")]
    if scored != list(data.groups):
        raise ValueError(
            f"the scores are of the groups {', '.join(scored)}, but {where['groupby']!r} now has "
            f"{', '.join(data.groups)}: run tl.importance again."
        )
    eligible, table = steps.rank_markers(data, scores, how)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "ranking", asdict(how))
    profiles = {"mean": data.stats.mean, "fraction": data.stats.fraction}
    slots.write_markers(adata, table, eligible, **profiles, key=key)
