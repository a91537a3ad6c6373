"""Selections to draw, and the text of a figure."""

from __future__ import annotations

import numpy as np
from cells import planted

import smash_gpu as smg

FEW_TREES = {"n_estimators": 20}
LISTS = ("best <b>$a_1$", "_noise")


def selected(groups, *, n_cells=320, n_genes=160, genes=(), n_top=2):
    adata = planted(np.random.default_rng(1), n_cells=n_cells, n_genes=n_genes, groups=groups)
    names = adata.var_names.to_numpy().copy()
    names[: len(genes)] = genes
    adata.var_names = names
    smg.tl.smash(adata, "cell_type", n_top=n_top, model_options=FEW_TREES)
    best = smg.get.marker_panel(adata, 20)
    noise = [name for name in adata.var_names if name.startswith("NOISE") and name not in best][:20]
    lists = {LISTS[0]: best, LISTS[1]: noise}
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=[5, 10, 20], n_splits=3, n_random=1)
    smg.tl.panel(adata, "cell_type", n_genes=12)
    return adata


def ticks(ax, axis):
    return [t.get_text() for t in getattr(ax, f"get_{axis}ticklabels")()]
