"""Would another draw of cells have chosen the same genes?"""

from __future__ import annotations

from typing import Unpack

from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.evaluation import stability as resampling
from smash_gpu.selection.options import PANEL_GENES
from smash_gpu.tl._choosers import OwnFunction, own, repeated_selection


@takes_source
def stability(
    adata: AnnData,
    groupby: str,
    *,
    n_genes: int = PANEL_GENES,
    n_resamples: int = 20,
    choose: OwnFunction | None = None,
    n_substitutes: int = 3,
    random_state: int = 0,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """How often each gene is chosen again on half of the cells, how far its rank moves, and what takes its place.

    Panels are chosen anew on complementary halves of the cells of every group, or with a ``sample_key`` of the samples
    (then every cell of a sample goes the same way, and what varies between donors is seen). Halves are drawn without
    replacement: a bootstrap would hold cells twice, which trees mistake for certainty;
    see `smash_gpu.evaluation.stability`.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    n_genes
        Size of the panels.
    n_resamples
        Number of halves; even, since they come in pairs.
    choose
        Function of (annotated cells, number of genes) to gene names, best first. None: the selection of the last
        `smash`.
    n_substitutes
        Substitutes to list for each gene.
    random_state
        Seed of the halves.
    source
        As in `pp.filter_genes`; what an earlier step was told holds here too.

    Returns
    -------
    None. Fills ``.uns["smash"]["stability"]``, ``["stability_overlap"]`` and ``["substitutes"]``; read them by
    `get.stability`, `get.panel_overlap` and `get.substitutes`.
    """
    data = read(adata, slots.source(adata, key, groupby=groupby, **source))
    if n_genes < 1:
        raise ValueError(f"n_genes={n_genes}: a panel has at least one gene.")
    chooser = repeated_selection(adata, n_genes, key) if choose is None else own(adata, choose, n_genes, "choose")
    found = resampling.resample(data, chooser, n_resamples=n_resamples, random_state=random_state)
    tables = {
        "stability": resampling.gene_table(found, data.names),
        "stability_overlap": resampling.overlap_table(found, len(data.names)),
        "substitutes": resampling.substitutes(found, data.stats.mean, data.names, n_substitutes),
    }
    options = {"n_genes": n_genes, "n_resamples": n_resamples, "random_state": random_state}
    options["halves_of"] = "cells" if data.sample is None else "samples"
    slots.write_tables(adata, "stability", tables, options, key=key)
