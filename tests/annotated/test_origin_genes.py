"""Results stay those of the data while the genes that they name are there."""

from __future__ import annotations

import warnings

import matplotlib as mpl
from cases.slots import FEW_TREES

import smash_gpu as smg

mpl.use("Agg")
GENES = ["MARKER0X", "MARKER1X", "MARKER2X"]
OF_PANEL = {"get": ("panel", "panel_table"), "pl": ("panel_curve", "panel_dotplot", "panel_heatmap", "panel_crowding",
            "panel_levels", "panel_pairs", "panel_resolution")}  # fmt: skip


def quiet(function, adata):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        function(adata)
    return not any("of other data" in str(w.message) for w in warned)


def test_genes_that_a_result_does_not_name_may_go(adata):
    smg.tl.smash(adata, "cell_type", n_top=2, model_options=FEW_TREES)
    smg.tl.evaluate(adata, "cell_type", genes=GENES, n_splits=2)
    smg.tl.validate(adata, "cell_type", genes=GENES)
    smg.tl.panel(adata, "cell_type", n_genes=4)
    for subset in (adata[:, smg.get.panel(adata)], adata[:, smg.get.panel(adata)].copy()):
        for module, names in OF_PANEL.items():
            assert all(quiet(getattr(getattr(smg, module), name), subset) for name in names)
    assert quiet(smg.get.comparison, adata[:, GENES]) and quiet(smg.get.validation, adata[:, GENES])
    assert not quiet(smg.get.comparison, adata[:, GENES[1:]])
    assert not quiet(smg.get.panel, adata[:, smg.get.panel(adata)[1:]])
    assert not quiet(smg.tl.rank_markers, adata[:, GENES].copy())
