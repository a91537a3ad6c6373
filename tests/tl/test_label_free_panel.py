"""tl.panel without classes: the variation alone decides."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import smash_gpu as smg

LIMITS = {
    "caps": {"max_transcripts": 9, "cost_key": "cost", "budget": 14.0},
    "lists": {"include": ["NOISE9"], "extend": ["MARKER0X"], "exclude": ["MARKER1X"], "unavailable": ["NOISE12"]},
    "quota": {"quotas": {"noise": (["NOISE30", "NOISE31", "NOISE32"], 2, None)}, "mean_counts": (None, 2.5)},
    "platform": {"platform": "xenium_v1", "max_transcripts": 30, "batch_key": "sample", "nested": True},
}
NEED_CLASSES = {
    "min_markers": 1, "prior": 0.5, "tau": 3, "failure_rate": 0.1, "weights": "smash", "sample_key": "sample",
    "probe_sets": (1, 4), "positive_only": True, "max_transcripts": {"A": 9},
}  # fmt: skip


@pytest.mark.parametrize("options", LIMITS.values(), ids=LIMITS)
def test_a_panel_without_labels_keeps_the_limits_of_genes(adata, options):
    adata.var["cost"] = np.where(adata.var_names.str.startswith("MARKER"), 3.0, 1.0)
    smg.tl.panel(adata, None, n_genes=8, variation=1, **options)
    genes, caps = smg.get.panel_table(adata), smg.get.panel_table(adata, "caps")
    least = caps["constraint"] == "genes at least"
    assert (np.where(least, caps["limit"] - caps["used"], caps["used"] - caps["limit"]) <= 1e-9).all()
    names = set(genes["name"])
    assert len(names) == 8 and set(options.get("include", ())) <= names
    assert not names & {gene for what in ("extend", "exclude", "unavailable") for gene in options.get(what, ())}
    assert genes["mean_counts"].max() <= options.get("mean_counts", (None, np.inf))[1]


def test_a_panel_without_labels_says_what_there_is(adata, tmp_path):
    smg.tl.panel(adata, None, n_genes=5, variation=1)
    adata.write_h5ad(tmp_path / "panel.h5ad")
    adata = ad.read_h5ad(tmp_path / "panel.h5ad")
    genes, curve = smg.get.panel_table(adata), smg.get.panel_table(adata, "curve")
    assert list(curve) == ["n_genes", "variation", "variation_bound"]
    np.testing.assert_allclose(genes["gain"].cumsum(), curve["variation"][1:])
    assert not {"resolution", "resolves", "substitute"} & set(genes)
    assert [len(smg.get.panel_table(adata, name)) for name in ("pairs", "purposes", "certificate", "crowding")] == [
        0, 0, 0, 1,
    ]  # fmt: skip
    assert len(smg.pl.panel_curve(adata).lines) == 2
    assert len(smg.pl.panel_crowding(adata).get_yticklabels()) == 1
    for draw in (smg.pl.panel_pairs, smg.pl.panel_resolution, smg.pl.panel_dotplot, smg.pl.panel_heatmap):
        with pytest.raises(KeyError, match="designed without classes"):
            draw(adata)


@pytest.mark.parametrize(("name", "value"), NEED_CLASSES.items())
def test_what_needs_classes_is_refused_without_them(adata, name, value):
    with pytest.raises(ValueError, match=f"{name}= .*needs? classes; give groupby="):
        smg.tl.panel(adata, None, n_genes=5, variation=1, **{name: value})


@pytest.mark.parametrize("weight", [0, 0.5])
def test_classes_are_needed_unless_the_variation_alone_decides(adata, weight):
    with pytest.raises(ValueError, match="groupby is None.*or variation=1 for a panel by the variation alone"):
        smg.tl.panel(adata, None, variation=weight)
