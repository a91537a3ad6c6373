"""Every function of tl says in a line what it found, and calls inside a call say nothing."""

from __future__ import annotations

import logging

import pytest

import smash_gpu as smg

FEW = {"model_options": {"n_estimators": 10}}
LIST = [f"MARKER{number}{letter}" for number in range(2) for letter in "XY"]


def first(cells, n_genes):
    """A choice that computes something first, as that of a user does."""
    smg.tl.panel(cells, "cell_type", n_genes=n_genes)
    return smg.get.panel(cells)


def smash(adata):
    smg.tl.smash(adata, "cell_type", n_top=2, **FEW)
    n = adata.var["smash_candidate"].sum()
    return f"Found {len(smg.get.markers(adata))} markers of 3 classes among {n} candidate genes"


def filter_genes(adata):
    smg.pp.filter_genes(adata, "cell_type", exclude=LIST)
    return f"{adata.var['smash_candidate'].sum()} of {adata.n_vars} genes are candidates."


def inverse_pca(adata):
    smg.pp.filter_genes(adata, "cell_type")
    smg.pp.inverse_pca(adata, n_top=1, variance=0.3)
    return f"{adata.var['smash_candidate'].sum()} of {adata.n_vars} genes are candidates."


def nsforest(adata):
    smg.tl.nsforest_metrics(adata, "cell_type", markers={adata.obs["cell_type"].iloc[0]: LIST})
    return f"NS-Forest: mean F-beta {smg.get.nsforest_metrics(adata)['f_beta'].mean():.3f} over 1 classes"


def spapros(adata):
    smg.tl.spapros_metrics(adata, "cell_type", genes={"mine": LIST}, metrics=["gene_corr"])
    return "Spapros: gene_corr of mine"


def rank_markers(adata):
    smg.tl.importance(adata, "cell_type", **FEW)
    smg.tl.rank_markers(adata, n_top=2)
    return "Found 6 markers of 3 classes among 60 candidate genes"


def panel(adata):
    smg.tl.panel(adata, "cell_type", n_genes=3)
    return f"Designed a panel of 3 genes: resolution {smg.get.panel_table(adata, 'curve')['resolution'].iloc[-1]:.1%}"


def evaluate(adata):
    smg.tl.evaluate(adata, "cell_type", genes={"mine": LIST, "chosen": first}, n_genes=4, n_splits=2, n_random=2)
    means = smg.get.comparison(adata).query("metric == 'f1_macro'").set_index(["genes", "is_random"])["mean"]
    said = [f"{name} {means[name, False]:.3f} (random panels {means[name, True]:.3f})" for name in ("mine", "chosen")]
    return f"Judged 2 lists on 2 splits; macro F1: {', '.join(said)}"


def stability(adata):
    smg.tl.stability(adata, "cell_type", n_genes=3, n_resamples=4, choose=first)
    overlap = smg.get.panel_overlap(adata)["mean"]
    return f"Two halves share {overlap['shared']:.1f} of 3 genes (mean), {overlap['shared_by_chance']:.1f} by chance"


def transfer(adata):
    tissue = adata.copy()
    smg.tl.transfer(adata, tissue, "cell_type", genes=LIST, n_random=2)
    row = smg.get.transfer(tissue).iloc[0]
    said = f"{row['genes']} {row['balanced_accuracy']:.3f} (random panels {row['random']:.3f})"
    return f"Named the cells of the tissue; balanced accuracy: {said}"


def validate(adata):
    smg.tl.validate(adata, "cell_type", genes=[*LIST, LIST[0]])
    checks = smg.get.validation(adata)
    assert checks.set_index("check").loc["duplicates", "verdict"] == "fail"
    return f"{len(checks)} checks: {(checks['verdict'] == 'pass').sum()} pass"


CALLS = [
    filter_genes,
    inverse_pca,
    smash,
    rank_markers,
    panel,
    evaluate,
    stability,
    transfer,
    validate,
    nsforest,
    spapros,
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_last_line_says_what_was_found(adata, caplog, call):
    caplog.set_level(logging.INFO, logger="smash_gpu")
    expected = call(adata)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[-1].startswith(expected), lines
    assert sum("Designed a panel" in line for line in lines) == (call is panel)
    if call is validate:
        assert "1 fail (duplicates)" in lines[-1]
