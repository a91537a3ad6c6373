"""Tables of other tools' metrics, from `tl` and `get`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.peers import ORIGINAL, PANELS

import smash_gpu as smg


@pytest.mark.parametrize("panel", PANELS)
def test_spapros_numbers_are_its_own(cells, panel):
    metrics = ("knn_overlap", "marker_corr", "gene_corr")
    smg.tl.spapros_metrics(
        cells, "cell_type", genes={panel: PANELS[panel]}, markers=ORIGINAL["listed"], metrics=metrics
    )
    found = smg.get.spapros_metrics(cells).loc[panel]
    expected = {name: v for name, v in ORIGINAL["spapros"][panel].items() if name.startswith(metrics)}
    assert found.to_dict() == pytest.approx(expected, abs=2e-5)
    assert set(found.index) == set(expected)


def test_panels_side_by_side_are_what_they_are_alone_and_survive_a_file(cells, tmp_path):
    import anndata as ad

    options = {"metrics": ["knn_overlap", "gene_corr"]}
    smg.tl.spapros_metrics(cells, "cell_type", genes={"a / b": PANELS["mixed"], "n": PANELS["noise"]}, **options)
    smg.tl.nsforest_metrics(cells, "cell_type", markers=ORIGINAL["markers"])
    both = smg.get.spapros_metrics(cells)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(smg.get.spapros_metrics(again), both)
    pd.testing.assert_frame_equal(smg.get.nsforest_metrics(again), smg.get.nsforest_metrics(cells))
    smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["noise"], **options)
    np.testing.assert_allclose(smg.get.spapros_metrics(cells).loc["list"], both.loc["n"])


def test_a_reference_of_some_genes_is_used(cells):
    cells.var["few"] = cells.var_names.isin(PANELS["mixed"])
    smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["mixed"], metrics=["knn_overlap"], mask_var="few")
    assert smg.get.spapros_metrics(cells).iloc[0, 0] == pytest.approx(1)


GENES = {"genes": PANELS["mixed"]}
BAD = {
    "an unknown metric": (smg.tl.spapros_metrics, GENES | {"metrics": ["gene_cor"]}, ValueError, "'gene_corr'"),
    "no markers": (smg.tl.spapros_metrics, GENES | {"metrics": ["marker_corr"]}, ValueError, "pass markers="),
    "no column": (smg.tl.spapros_metrics, GENES | {"metrics": ["gene_corr"], "mask_var": "hv"}, KeyError, "'hv'"),
    "an absent gene": (smg.tl.spapros_metrics, {"genes": ["X"], "metrics": ["gene_corr"]}, KeyError, "'X'"),
    "no selection": (smg.tl.nsforest_metrics, {}, KeyError, "tl.smash.*markers="),
    "no such class": (smg.tl.nsforest_metrics, {"markers": {"CD4 T": ["MARKER0X"]}}, KeyError, r"'CD4\+ T'"),
    "no markers at all": (smg.tl.nsforest_metrics, {"markers": {}}, ValueError, "the mapping is empty"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(cells, function, options, kind, message):
    with pytest.raises(kind, match=message):
        function(cells, "cell_type", **options)
    assert not cells.uns


def test_cluster_similarity_without_igraph_says_so_before_any_work(cells, monkeypatch):
    monkeypatch.setattr("smash_gpu.tl._spapros.find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install igraph"):
        smg.tl.spapros_metrics(cells, "cell_type", genes=PANELS["mixed"])
