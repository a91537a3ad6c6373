"""From scores to markers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from anndata import AnnData

from smash_gpu.annotated import of_models, slots
from smash_gpu.annotated.features import only_genes
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.selection import steps
from smash_gpu.selection.options import Ranking
from smash_gpu.tl import _summaries


def rank_markers(
    adata: AnnData,
    *,
    n_top: int = Ranking.n_top,
    unique: bool = Ranking.unique,
    positive_only: bool = Ranking.positive_only,
    min_log2_fold_change: float = Ranking.min_log2_fold_change,
    min_fraction_difference: float = Ranking.min_fraction_difference,
    near_highest: float = Ranking.near_highest,
    sample_fraction: float = Ranking.sample_fraction,
    min_cells_per_sample: int = Ranking.min_cells_per_sample,
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    sample_key: str | None | Earlier = EARLIER,
    batch_key: str | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
    memory: int | str | None = None,
    key: str = slots.KEY,
) -> None:
    """Rank the genes of each class by their score; equal scores by name.

    Parameters
    ----------
    adata
        Annotated cells × genes after `tl.importance`.
    n_top
        Markers per class.
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
    sample_fraction, min_cells_per_sample
        With a ``sample_key``: a marker of a class is detected in the class's cells in at least ``sample_fraction`` of
        the samples that hold at least ``min_cells_per_sample`` of them (paper: 70 %). Other genes are passed over.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash"]["markers"]`` (see `get.markers`), ``.var["smash_marker"]`` (bool), and genes × classes
    in ``.varm``: ``["smash_eligible"]`` (bool: may it be a marker), ``["smash_spare"]`` (bool: does it only differ too
    little), ``["smash_mean"]`` and ``["smash_variance"]`` (of log-normalised expression) and ``["smash_fraction"]``
    (share of cells that express the gene; all float32).

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.importance` has not run yet.
    ValueError
        If the classes have changed since, or the scores come from ``tl.smash(within=...)``.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.importance(adata, "cell_type")
    >>> smg.tl.rank_markers(adata, n_top=3)
    >>> sorted(smg.get.markers_dict(adata)["A"])
    ['MARKER0X', 'MARKER0Y', 'MARKER0Z']
    """
    how = Ranking(
        n_top, unique, positive_only, min_log2_fold_change, min_fraction_difference, near_highest, sample_fraction,
        min_cells_per_sample,
    )  # fmt: skip
    where = slots.source(
        adata, key, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    if slots.recorded(adata, key, "within"):
        raise ValueError(
            "these scores come from tl.smash(within=…), which ranks them; call it again with other options."
        )
    scores = only_genes(adata, slots.scores(adata, key))
    with limit(memory):
        data = read(adata, where)
        _require_same_groups([str(g) for g in slots.require(adata, "groups", key, "tl.importance")], data.groups, where)
        auc = only_genes(adata, slots.auc(adata, key))
        by_model = {name: only_genes(adata, found) for name, found in of_models.scores(adata, key).items()}
        eligible, spare, table = steps.rank_markers(data, scores, auc, how, by_model)
        profiles = steps.profiles_of(data.stats)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "ranking", asdict(how))
    slots.write_markers(adata, table, eligible, spare, profiles=profiles, key=key)
    say(_summaries.of_markers(table, int((~np.isnan(scores)).any(axis=0).sum())))


def _require_same_groups(scored: list[str], groups: Iterable[str], where: dict[str, Any]) -> None:
    if scored != list(groups):
        raise ValueError(
            f"the scores are for the classes {', '.join(scored)}, but {where['groupby']!r} now has "
            f"{', '.join(groups)}; run tl.importance again."
        )
