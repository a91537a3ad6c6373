"""Would another draw of cells have chosen the same genes?"""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation import stability as resampling
from smash_gpu.evaluation.judging import Resampling
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.selection.options import PANEL_GENES
from smash_gpu.tl import _summaries
from smash_gpu.tl._choosers import OwnFunction, own, repeated_selection, selected_panel


def stability(
    adata: AnnData,
    groupby: str,
    *,
    n_genes: int = PANEL_GENES,
    n_resamples: int = Resampling.n_resamples,
    choose: OwnFunction | None = None,
    n_substitutes: int = Resampling.n_substitutes,
    random_state: int = 0,
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
    """How often each gene is chosen again on half of the cells, how far its rank moves, and what takes its place.

    Panels are chosen on complementary halves of the cells of every class, or with a ``sample_key`` of the samples: then
    all cells of a sample are in one half, and the differences between donors count. Halves are drawn without
    replacement: a bootstrap would hold cells twice, which trees mistake for certainty.

    Parameters
    ----------
    adata
        Annotated cells × genes, after `tl.smash` unless ``choose`` is given.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    n_genes
        Size of the panels.
    n_resamples
        Number of halves; even, since they come in pairs.
    choose
        Function of (annotated cells, number of genes) that returns gene names, best first. None: the selection of the
        last `tl.smash`.
    n_substitutes
        Substitutes to list for each gene.
    random_state
        Seed of the halves.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash"]["stability"]``, ``["stability_overlap"]`` and ``["substitutes"]``; read them by
    `get.stability`, `get.panel_overlap` and `get.substitutes`.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column or layer is not in the data, or neither ``choose`` is given nor `tl.smash` has run.
    ValueError
        If ``n_genes`` is below 1, ``n_resamples`` is odd, there are fewer than four samples, or ``choose`` returns too
        few genes.

    References
    ----------
    Complementary halves: Shah & Samworth, J. R. Stat. Soc. B 2013. Halves against bootstrap: Buja & Stuetzle,
    Statistica Sinica 2006; Friedman & Hall, J. Stat. Plan. Inference 2007.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", model_options={"n_estimators": 10})
    >>> smg.tl.stability(adata, "cell_type", n_genes=3, n_resamples=2)
    >>> bool(smg.get.stability(adata)["frequency"].between(0, 1).all())
    True
    """
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    if n_genes < 1:
        raise ValueError(f"n_genes={n_genes}: a panel has at least one gene.")
    Resampling(n_resamples, n_substitutes)
    with limit(memory):
        data = read(adata, where).held()
        chooser, panel = (
            (repeated_selection(adata, n_genes, key, "choose="), selected_panel(adata, data, where, n_genes, key))
            if choose is None else (own(adata, choose, n_genes, "choose"), None)
        )  # fmt: skip
        how = {"n_resamples": n_resamples, "random_state": random_state}
        found = resampling.resample(data, chooser, **how, panel=panel)
        tables = _tables(found, data, n_substitutes)
    options: dict[str, Any] = where | {
        "n_genes": n_genes, "n_resamples": n_resamples, "n_substitutes": n_substitutes, "random_state": random_state,
        "choose": None if choose is None else "function", "halves_of": "cells" if data.sample is None else "samples",
    }  # fmt: skip
    slots.write_tables(adata, "stability", tables, options, key=key)
    say(_summaries.of_stability(tables["stability_overlap"], n_genes))


def _tables(found: resampling.Resampled, data: Dataset, n_substitutes: int) -> dict[str, pd.DataFrame]:
    return {
        "stability": resampling.gene_table(found, data.names),
        "stability_overlap": resampling.overlap_table(found, len(data.names)),
        "substitutes": resampling.substitutes(found, data.stats.mean, data.names, n_substitutes),
    }
