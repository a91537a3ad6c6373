"""A report with hostile names, and a parser for it."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from cases.page import IMAGE, PAYLOAD, Page, hostile_cells, smash

import smash_gpu as smg

mpl.use("Agg")


@pytest.fixture(scope="session")
def hostile():
    adata = hostile_cells()
    smash(adata, sample_key="sample", random_state=7)
    lists = {
        IMAGE: smg.get.marker_panel(adata, 12),
        "noise": [n for n in adata.var_names if n.startswith("NOISE")][:12],
    }
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=[4, 12], n_random=1)
    return adata


@pytest.fixture(scope="session")
def page(hostile):
    return smg.report.page(hostile, title=f"Of {PAYLOAD}")


@pytest.fixture(scope="session")
def parsed(page):
    return Page(page)
