"""The four steps in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import broad_groups, read, require_one_name
from smash_gpu.annotated.source import Source
from smash_gpu.data.stages import Work
from smash_gpu.io import concat
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.selection import accuracy, steps
from smash_gpu.selection.options import Filters, Importance, InversePCA, Ranking, Recipe
from smash_gpu.selection.several import Models
from smash_gpu.tl import _summaries
from smash_gpu.tl._tuned import given, with_tuned


def smash(
    adata: AnnData | concat.Paths,
    groupby: str,
    *,
    model: Models = Importance.model,
    n_top: int = Ranking.n_top,
    within: str | None = None,
    unique: bool = Ranking.unique,
    positive_only: bool = Ranking.positive_only,
    min_log2_fold_change: float = Ranking.min_log2_fold_change,
    min_fraction_difference: float = Ranking.min_fraction_difference,
    near_highest: float = Ranking.near_highest,
    n_models: int = Importance.n_models,
    max_cells: int | None = Importance.max_cells,
    random_state: int = Importance.random_state,
    filters: Mapping[str, Any] | None = None,
    inverse_pca: bool = bool(Recipe.inverse_pca),
    model_options: Mapping[str, Any] | str | None = None,
    sample_fraction: float = Ranking.sample_fraction,
    min_cells_per_sample: int = Ranking.min_cells_per_sample,
    layer: str | None = Source.layer,
    use_raw: bool = Source.use_raw,
    normalize: bool | None = Source.normalize,
    gene_symbols: str | None = Source.gene_symbols,
    min_cells: int | None = Source.min_cells,
    sample_key: str | None = Source.sample_key,
    batch_key: str | None = Source.batch_key,
    device: str = Source.device,
    memory: int | str | None = None,
    work: str | Path | Work | None = None,
    key: str = slots.KEY,
) -> AnnData | None:
    """Find marker genes for the classes of ``adata.obs[groupby]``: filters, a model, ranking; inverse PCA by option.

    The same as `pp.filter_genes`, `tl.importance` and `tl.rank_markers` one by one, or with ``inverse_pca=True`` the
    same with `pp.inverse_pca` after the first.

    Parameters
    ----------
    adata
        Annotated cells × genes, or the path of an h5ad file or zarr store, or several of them as one data set: a list
        of paths, or a pattern such as ``"run*/counts.h5ad"``. Genes of several files are joined by name, and counts are
        scaled by the sum of the common ones; see `smash_gpu.read`.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    model
        "rf", "brf", "xgboost", "dnn", or an object with the methods of `smash_gpu.models.Model`; see `tl.importance`. A
        list, such as the paper's ``["dnn", "xgboost"]``: the consensus of these models.
    n_top
        Markers per class.
    within
        Column of ``adata.obs`` with broad classes: one selection inside each, and classes named "broad / class".
    unique
        Whether a gene may serve one class only: classes then choose in turn.
    positive_only
        Whether to pass over genes whose mean is lower in the class than in the other cells.
    min_log2_fold_change, min_fraction_difference, near_highest
        How much a marker differs: its log2 fold change against the other cells (see `get.markers`), the share of cells
        that express it minus that outside, and the place of its mean between the lowest (0) and the highest mean of a
        class (1), all at least this. For a gene that is low in the class all three count downwards. 0, −1 and 0 need
        nothing. Without such rules the genes of other classes that leak into all droplets are markers of those that
        have none.
    n_models
        Number of models (of each kind), each on its own split and seed; their scores are averaged.
    max_cells
        Most cells that a model is given. None: the limit of the model, 100,000 for "rf" and "brf", none for the others.
    random_state
        Seed; two runs with one seed are equal.
    filters
        Options of `pp.filter_genes`, e.g. ``{"exclude": ["XIST"], "max_fraction": 0.9}``.
    inverse_pca
        Whether to narrow the candidates by `pp.inverse_pca`, as the paper does. By default it is left out: it does not
        improve panels, and among the genes that it removes are markers that many other genes vary with, such as the
        collagens of stroma.
    model_options
        Options of the model, e.g. ``{"importance": "shap"}`` for "xgboost"; of a list of models the options of each by
        its name: ``{"xgboost": {"importance": "shap"}}``. See `tl.importance`. "tuned": those that
        `tl.tune` found for each model.
    sample_fraction, min_cells_per_sample
        With a ``sample_key``: a marker is detected in at least ``sample_fraction`` of the samples that hold at least
        ``min_cells_per_sample`` cells of its class; see `tl.rank_markers`.
    layer
        Layer to read instead of ``X``.
    use_raw
        Whether to read ``adata.raw`` instead of ``X``; it must hold the same genes.
    normalize
        None: the matrix holds raw counts, which are scaled to 10,000 per cell and log-transformed; values that look
        like logarithms are an error. True: the same, and such values are taken as counts (corrected counts that are
        small). False: the matrix is log-normalised already.
    gene_symbols
        Column of ``adata.var`` with gene symbols, if ``var_names`` are something else (Ensembl ids).
    min_cells
        Leave out classes with fewer cells, with a warning. None: a class of fewer than 2 cells is an error.
    sample_key
        Column of ``adata.obs`` with the sample, patient or donor of each cell; "file" if each of several files is one.
    batch_key
        Column of ``adata.obs`` with the batch of each cell, which Harmony corrects; or "file".
    device
        "auto", "cpu" or "cuda".
    memory
        Most memory that the whole process may use during this call: bytes, or "8GB"; see `pp.filter_genes`.
    work
        Folder that keeps every finished stage (class and sample statistics, candidates, the scores of each model). The
        same call continues from there if it was stopped, and ends with the same markers. The folder may serve any
        number of data sets and calls. A stage is recomputed if its data, its parameters or the versions of packages
        changed.
    key
        Prefix of the slots.

    Returns
    -------
    None, or the annotated data if paths were given. If their matrices stay in the files because they are large (see
    `smash_gpu.read`), ``write_h5ad`` writes annotation and results without them. Fills ``.var["smash_candidate"]`` and
    ``.var["smash_marker"]`` (bool), ``.varm["smash"]`` (scores, genes × classes, float32, NaN for genes that are no
    candidates), ``.var["smash_importance"]`` (how much the model uses each gene, as in `tl.importance`; with ``within``
    the weight in the part where it is largest), ``.varm["smash_mean"]``, ``["smash_variance"]`` and
    ``["smash_fraction"]`` (genes × classes, float32: mean and variance of log-normalised expression, share of cells
    that express the gene) and ``.uns["smash"]`` (``markers``, ``groups``, ``filters``,
    ``params``, and the accuracy of the models as in `tl.importance`), of a consensus also what each model says. Read
    them by `get.markers`, `get.markers_dict`, `get.marker_panel` and `get.accuracy`.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or gene is not in the data.
    smash_gpu.errors.NothingLeftError
        If no gene passes the filters.
    smash_gpu.errors.ChangedError
        If the file was changed during the call.
    ValueError, TypeError
        If an option or the input cannot be used. The message says what to do, and nothing is written.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> sorted(smg.get.markers_dict(adata)["A"])
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']

    Log-normalised expression in ``raw``, fewer trees:

    >>> adata = smg.datasets.pbmc68k_reduced()
    >>> options = {"use_raw": True, "normalize": False, "model_options": {"n_estimators": 20}}
    >>> smg.tl.smash(adata, "bulk_labels", min_cells=2, **options)
    >>> smg.get.markers(adata)["group"].nunique()
    10

    What two models agree on:

    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", model=["rf", "xgboost"], n_top=3)
    >>> float(smg.get.markers(adata)["agreement"].min())
    1.0
    """
    slots.require_storable(key)
    require_one_name({"groupby": groupby, "within": within})
    is_path = not isinstance(adata, AnnData)
    work = Work.of(work, Path(adata).name if isinstance(adata, str | Path) else "")
    source = Source(
        layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols, min_cells=min_cells,
        sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    where = {"groupby": groupby} | vars(source)
    rules = Filters.of(filters or {})
    how = Recipe(
        rules,
        InversePCA(keep=rules.keep) if inverse_pca else None,
        Importance(model, given(model_options), n_models, random_state, max_cells),
        Ranking(n_top, unique, positive_only, min_log2_fold_change, min_fraction_difference, near_highest,
                sample_fraction, min_cells_per_sample),
    )  # fmt: skip
    with limit(memory):
        adata = concat.open_cells(adata, where | {"groupby": [groupby, within]}) if is_path else adata
        how = replace(how, importance=with_tuned(how.importance, model_options, adata, groupby, key))
        data = read(adata, where, work)
        how = how.by_name(data.gene_names)
        how.importance.check_options(data.device)
        parts = {"": data} if within is None else steps.inside(data, broad_groups(adata, within))
        selected = {name: steps.select(part, how, name) for name, part in parts.items()}
    for name, part in selected.items():
        accuracy.check(how.importance.names, part.scores, part.groups, name)
    found = steps.merge(selected)
    slots.start(adata, key)
    slots.record(adata, key, "source", where)
    for step, options in how.steps.items():
        slots.record(adata, key, step, options)
    if within is not None:
        slots.record(adata, key, "within", {"column": within})
    slots.write_candidates(adata, found.candidates, found.ledger, key)
    slots.write_scores(adata, found.scores, found.groups, key)
    profiles = {name: getattr(found, name) for name in steps.PROFILES}
    slots.write_markers(adata, found.markers, found.eligible, found.spare, profiles=profiles, key=key)
    say(accuracy.in_words(how.importance.names, found.scores.accuracy, found.scores.group_accuracy, found.groups))
    say(_summaries.of_markers(found.markers, int(found.candidates.sum())))
    return adata if is_path else None
