"""What is on the slide: the existing panel, whether the data hold its genes or not, and the chosen genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from cases.commands import written
from cases.vendors import FILES, GENES, SETS, WITH_SETS
from cells import SLOW_ZARR

import smash_gpu as smg


@pytest.mark.parametrize("name", FILES)
def test_all_genes_of_a_printed_panel_are_on_the_slide(adata, tmp_path, name):
    path = written(tmp_path / name, *FILES[name])
    with pytest.warns(UserWarning, match="extend: 1 of 3 genes are on the slide but not in the data.*: PROBE7"):
        smg.tl.panel(adata, "cell_type", n_genes=4, extend=path)
    slide = smg.get.panel_table(adata, "slide")
    assert slide["name"].tolist() == GENES + smg.get.panel(adata)
    assert slide["origin"].tolist() == ["existing"] * 3 + ["chosen"] * 4
    assert slide["in_data"].tolist() == [True, True, False] + [True] * 4
    assert not set(GENES) & set(smg.get.panel(adata))
    if name in WITH_SETS:
        assert slide["probe_sets"][:3].tolist() == SETS
        assert slide["ensembl_id"][:3].tolist() == [f"ENSG{i:011}" for i in range(3)]
    assert slide["probe_sets"][3:].isna().all()


def test_absent_genes_change_nothing_but_the_slide(adata):
    smg.tl.panel(adata, "cell_type", n_genes=4, extend=GENES[:2])
    without = {name: smg.get.panel_table(adata, name) for name in ("genes", "pairs", "curve")}
    with pytest.warns(UserWarning, match="PROBE7"):
        smg.tl.panel(adata, "cell_type", n_genes=4, extend=GENES)
    for name, table in without.items():
        assert smg.get.panel_table(adata, name).equals(table)


@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
@pytest.mark.filterwarnings("ignore:extend:UserWarning", "ignore:Writing zarr:UserWarning")
def test_the_slide_survives_files(adata, tmp_path, suffix):
    smg.tl.panel(adata, "cell_type", n_genes=2, extend=GENES)
    getattr(adata, f"write_{suffix}")(tmp_path / "cells")
    again = getattr(ad, f"read_{suffix}")(tmp_path / "cells")
    before, after = (smg.get.panel_table(one, "slide") for one in (adata, again))
    assert before.astype(str).equals(after.astype(str))


def test_ids_of_the_data_go_before_those_of_the_list(adata):
    adata.var["gene_ids"] = [f"ENSG{i:011}" for i in range(100, 100 + adata.n_vars)]
    smg.tl.panel(adata, "cell_type", n_genes=2, extend=GENES[:1])
    slide = smg.get.panel_table(adata, "slide").set_index("name")
    assert (slide["ensembl_id"] == adata.var["gene_ids"].loc[slide.index]).all()
    assert np.isnan(slide["probe_sets"]).all()
