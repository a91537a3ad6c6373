"""The whole selection: planted markers, every container, every option, and all the real sets."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import PLANTED, SHARED_SETS, Kind, planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu.selection.options import paper

MODEL_OPTIONS = {"rf": {}, "brf": {"n_estimators": 60}, "xgboost": {"n_estimators": 30, "max_bin": 32}, "dnn": {}}


def smash(adata, groupby="cell_type", model="rf", model_options=None, **options):
    model_options = MODEL_OPTIONS[model] | (model_options or {})
    if model == "dnn":
        pytest.importorskip("torch")
        from smash_gpu.models.network import Training

        if adata.n_obs < 500:
            model_options["training"] = Training(batch_size=20, learning_rate=1e-2)
    smg.tl.smash(adata, groupby, model=model, model_options=model_options, **options)
    return adata


def planted_of(adata, number):
    return {name for name in adata.var_names if name.startswith(f"MARKER{number}")}


@pytest.mark.parametrize("model", MODEL_OPTIONS)
def test_planted_markers_are_found(adata, model):
    smash(adata, model=model, n_top=PLANTED)
    found = smg.get.markers_dict(adata)
    groups = list(adata.obs["cell_type"].cat.categories)
    assert {group: set(names) for group, names in found.items()} == {
        g: planted_of(adata, c) for c, g in enumerate(groups)
    }


def test_slots_are_those_of_the_design(adata):
    smash(adata)
    assert adata.var["smash_candidate"].dtype == adata.var["smash_marker"].dtype == bool
    scores = adata.varm["smash"]
    assert (scores.shape, scores.dtype) == ((adata.n_vars, 3), np.float32)
    np.testing.assert_array_equal(np.isnan(scores).all(axis=1), ~adata.var["smash_candidate"])
    assert list(adata.uns["smash"]["groups"]) == ["A", "B / b", "CD4+ T"]
    table = adata.uns["smash"]["markers"]
    assert table.columns.tolist() == [
        *("group", "rank", "name", "score", "direction"),
        *("fraction_in", "fraction_out", "mean_in", "mean_out", "log2_fold_change", "auc", "specificity"),
    ]
    assert set(table["name"]) == set(adata.var_names[adata.var["smash_marker"]])


@pytest.mark.parametrize("inverse_pca", [False, True])
def test_the_steps_one_by_one_are_smash(adata, inverse_pca):
    other = adata.copy()
    smash(adata, n_top=4, sample_key="sample", random_state=5, inverse_pca=inverse_pca)
    smg.pp.filter_genes(other, "cell_type")
    if inverse_pca:
        smg.pp.inverse_pca(other)
    smg.tl.importance(other, "cell_type", model="rf", random_state=5)
    smg.tl.rank_markers(other, n_top=4, sample_key="sample")
    pd.testing.assert_frame_equal(smg.get.markers(adata), smg.get.markers(other))
    pd.testing.assert_frame_equal(adata.uns["smash"]["filters"], other.uns["smash"]["filters"])


@pytest.mark.parametrize("model", MODEL_OPTIONS)
def test_two_runs_with_one_seed_are_equal_bit_for_bit(adata, model):
    other = adata.copy()
    for data in (adata, other):
        smash(data, model=model, random_state=3)
    np.testing.assert_array_equal(adata.varm["smash"], other.varm["smash"])
    pd.testing.assert_frame_equal(smg.get.markers(adata), smg.get.markers(other), check_exact=True)


@pytest.mark.slow
@pytest.mark.container(skip=Kind.STAND_IN)
def test_every_container_gives_the_same_candidates_and_markers(hold, adata):
    smash(adata)
    held = ad.AnnData(hold(adata.X), obs=adata.obs, var=adata.var[[]])
    smash(held)
    np.testing.assert_array_equal(held.var["smash_candidate"], adata.var["smash_candidate"])
    pd.testing.assert_frame_equal(held.uns["smash"]["filters"], adata.uns["smash"]["filters"])
    assert smg.get.markers_dict(held) == smg.get.markers_dict(adata)
    exact = ["group", "rank", "name", "direction", "fraction_in", "fraction_out"]
    pd.testing.assert_frame_equal(smg.get.markers(held)[exact], smg.get.markers(adata)[exact], check_exact=True)


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("bytes_in_memory", [2**30, 0], ids=["in memory", "left on disk"])
def test_a_path_is_read_and_the_data_returned(adata, tmp_path, monkeypatch, suffix, bytes_in_memory):
    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", bytes_in_memory)
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found = smg.tl.smash(path, "cell_type")
    smash(adata)
    assert smg.get.markers_dict(found) == smg.get.markers_dict(adata)
    if bytes_in_memory == 0:
        assert not sparse.issparse(found.X), "the matrix was left on disk"


def test_panel_has_exactly_n_different_genes(adata):
    smash(adata)
    for n in (1, 9, 40):
        panel = smg.get.marker_panel(adata, n)
        assert len(panel) == len(set(panel)) == n
        assert panel == smg.get.marker_panel(adata, 40)[:n]
    assert set(smg.get.marker_panel(adata, 9)) == set().union(*(planted_of(adata, c) for c in range(3)))


def test_unique_gives_each_gene_to_one_group(adata):
    smash(adata, unique=True, n_top=8)
    assert smg.get.markers(adata)["name"].is_unique


def test_positive_only_passes_over_genes_that_are_low_in_the_group(rng):
    adata = planted(rng, groups=("A", "B"))
    smash(adata, model="xgboost", n_top=12)
    pytest.importorskip("torch")
    smash(adata, model="dnn", n_top=6, model_options={"by_expression": False})
    assert "down" in set(smg.get.markers(adata)["direction"])
    smash(adata, model="dnn", n_top=6, positive_only=True, model_options={"by_expression": False})
    assert set(smg.get.markers(adata)["direction"]) == {"up"}


def test_a_marker_of_one_donor_makes_way_for_the_next(adata):
    gene, group = "MARKER0X", (adata.obs["cell_type"] == "A").to_numpy()
    elsewhere = (adata.obs["sample"] != "donor0").to_numpy()
    counts = adata.X.tolil()
    counts[np.flatnonzero(group & elsewhere), adata.var_names.get_loc(gene)] = 0
    counts[np.flatnonzero(group & ~elsewhere), adata.var_names.get_loc(gene)] = 30
    adata.X = counts.tocsr()
    options = {"n_top": PLANTED, "filters": {"min_fraction": 0.1}, "min_fraction_difference": -1}
    smash(adata, **options)
    assert gene in smg.get.markers_dict(adata)["A"]
    smash(adata, sample_key="sample", **options)
    assert gene not in smg.get.markers_dict(adata)["A"]
    assert len(smg.get.markers_dict(adata)["A"]) == PLANTED
    assert (smg.get.markers(adata)["samples"] >= 0.7).all()
    assert gene not in smg.get.marker_panel(adata, 9)


def test_within_selects_inside_each_broad_group(rng):
    fine = planted(rng, groups=("a1", "a2", "b1", "b2"), n_cells=400)
    fine.obs["broad"] = fine.obs["cell_type"].str[0].str.upper()
    smash(fine, within="broad", n_top=2)
    table = smg.get.markers(fine)
    assert list(fine.uns["smash"]["groups"]) == ["A / a1", "A / a2", "B / b1", "B / b2"]
    assert table["within"].tolist() == ["A"] * 4 + ["B"] * 4
    only_a = fine[fine.obs["broad"] == "A"].copy()
    smash(only_a, n_top=2)
    inside = table[table["within"] == "A"]
    assert inside["name"].tolist() == smg.get.markers(only_a)["name"].tolist()
    np.testing.assert_array_equal(inside["score"], smg.get.markers(only_a)["score"])


def test_a_selection_within_is_evaluated_by_its_genes_only(rng):
    fine = planted(rng, groups=("a1", "a2", "b1", "b2"), n_cells=400)
    fine.obs["broad"] = fine.obs["cell_type"].str[0]
    smash(fine, within="broad")
    with pytest.raises(ValueError, match="pass genes="):
        smg.tl.evaluate(fine, "cell_type")
    smg.tl.evaluate(fine, "cell_type", genes=smg.get.marker_panel(fine, 8))
    assert smg.get.evaluation(fine).loc["misclassification", "mean"] < 0.1


@pytest.mark.slow
def test_several_models_are_averaged_and_their_spread_kept(adata):
    one, two = adata.copy(), adata.copy()
    smash(one, random_state=0)
    smash(two, random_state=1)
    smash(adata, n_models=2)
    both = np.stack([one.varm["smash"], two.varm["smash"]])
    np.testing.assert_allclose(adata.varm["smash"], both.mean(axis=0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(adata.varm["smash_spread"], both.std(axis=0, ddof=1), rtol=1e-4, atol=1e-8)
    assert len(adata.uns["smash"]["accuracy"]) == 2


def test_an_own_model_object_and_its_evaluation(adata):
    from sklearn.ensemble import ExtraTreesClassifier

    smg.tl.smash(adata, "cell_type", model=smg.models.Forest(ExtraTreesClassifier(50, random_state=0)))
    assert smg.get.markers_dict(adata)["A"][0] in planted_of(adata, 0)
    with pytest.raises(ValueError, match="pass genes="):
        smg.tl.evaluate(adata, "cell_type")
    smg.tl.evaluate(adata, "cell_type", genes=smg.get.marker_panel(adata, 9))
    assert smg.get.evaluation(adata).loc["misclassification", "mean"] < 0.05


@pytest.mark.slow
def test_planted_markers_tell_the_groups_apart_and_noise_does_not(adata):
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", n_genes=9)
    assert smg.get.evaluation(adata).loc["misclassification", "mean"] < 0.05
    noise = [name for name in adata.var_names if name.startswith("NOISE")][:9]
    smg.tl.evaluate(adata, "cell_type", genes=noise)
    assert smg.get.evaluation(adata).loc["misclassification", "mean"] > 0.4


@pytest.mark.slow
def test_figures_show_every_group_and_marker(adata):
    import matplotlib as mpl

    mpl.use("Agg")
    smash(adata, n_top=2)
    smg.tl.evaluate(adata, "cell_type")
    groups = list(adata.uns["smash"]["groups"])
    drawn = smg.pl.markers(adata)
    assert [t.get_text() for t in drawn.get_yticklabels()] == groups
    assert [t.get_text() for t in drawn.get_xticklabels()] == smg.get.markers(adata)["name"].tolist()
    assert [t.get_text() for t in smg.pl.importance(adata).get_legend().get_texts()] == groups
    assert [t.get_text() for t in smg.pl.confusion(adata).get_yticklabels()] == groups


@pytest.mark.slow
@pytest.mark.parametrize("model", MODEL_OPTIONS)
@pytest.mark.parametrize("name", SHARED_SETS or ["none"])
def test_real_sets_get_markers_for_every_group(shared, name, model):
    adata = shared(name)
    smash(adata, model=model, filters={"families": ()} if name == "citeseq_cbmc" else None)
    markers = smg.get.markers_dict(adata)
    assert set(markers) == set(adata.obs["cell_type"].cat.categories)
    assert all(1 <= len(names) <= 5 for names in markers.values())
    assert len(set(smg.get.marker_panel(adata, 30))) == 30


def test_a_marker_that_half_of_the_groups_share_is_taken_out_by_the_paper_s_rule_only(rng):
    adata = planted(rng, groups=("T", "B", "monocyte 1", "monocyte 2"))
    counts = adata.X.toarray()
    shared = adata.obs["cell_type"].str.startswith("monocyte").to_numpy()
    counts[:, adata.var_names.get_loc("NOISE20")] = rng.poisson(np.where(shared, 9, 0.2))
    adata.X = sparse.csr_matrix(counts)
    smash(adata, n_top=4)
    markers = smg.get.markers_dict(adata)
    assert "NOISE20" in markers["monocyte 1"]
    assert "NOISE20" in markers["monocyte 2"]
    smg.tl.smash(adata, "cell_type", **paper("rf"))
    assert adata.uns["smash"]["filters"]["rule"].str.contains("inverse PCA").any()
    assert not adata.var["smash_candidate"]["NOISE20"]
    assert adata.var["smash_candidate"]["MARKER0X"]
