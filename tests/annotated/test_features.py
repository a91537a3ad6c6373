"""Features that are not genes, such as the antibodies of CITE-seq, take no part in anything."""

from __future__ import annotations

import gzip
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.steps import FEW_TREES
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.features import gene_rows
from smash_gpu.annotated.read import read

N_PROTEINS = 5
LEFT_OUT = "5 of 65 features are not genes, as adata.var\\['feature_types'\\] says.*Antibody Capture \\(5\\)"
pytestmark = pytest.mark.filterwarnings("ignore:5 of 65 features are not genes:UserWarning", "ignore:Writing zarr v2")


def with_proteins(adata, kinds=("Gene Expression", "Antibody Capture"), column="feature_types"):
    """With antibodies among the genes that would be the best markers, and most of the counts."""
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    rng = np.random.default_rng(3)
    proteins = np.stack([rng.poisson(np.where(codes == i % 3, 800, 30)) for i in range(N_PROTEINS)], 1)
    at = [3, 10, 20, 30, 59]
    X = np.insert(adata.X.toarray(), at, proteins, axis=1).astype(np.float32)
    names = np.insert(adata.var_names.to_numpy(dtype=object), at, [f"CD{i}_TotalSeqB" for i in range(N_PROTEINS)])
    is_protein = np.array([name.startswith("CD") for name in names])
    var = pd.DataFrame({column: pd.Categorical(np.where(is_protein, kinds[1], kinds[0]))}, index=names)
    return ad.AnnData(sparse.csr_matrix(X), obs=adata.obs.copy(), var=var)


@pytest.fixture
def cite(adata):
    return with_proteins(adata)


def test_sums_and_expression_are_of_genes_alone_in_every_container(adata, cite, hold):
    counts = cite.X
    cite.X = hold(counts) if hold.device == "cpu" else counts
    source = {"groupby": "cell_type", "device": hold.device}
    if hold.device == "cuda":
        from smash_gpu.annotated import features

        narrow = features.columns_of_genes(hold(counts), gene_rows(cite))
        np.testing.assert_array_equal(narrow.get().toarray(), adata.X.toarray())
        return
    with pytest.warns(UserWarning, match=LEFT_OUT):
        found = read(cite, source)
    alone = read(adata, source)
    assert found.names.tolist() == alone.names.tolist()
    for name, value in vars(alone.stats).items():
        np.testing.assert_allclose(getattr(found.stats, name), value, rtol=1e-6, err_msg=name)
    genes = np.array([0, 7, 40])
    np.testing.assert_allclose(found.host_expression(genes), alone.host_expression(genes), rtol=1e-6)


def whole(adata, folder):
    return adata


def h5ad(adata, folder):
    adata.write_h5ad(folder / "cells.h5ad")
    return smg.read(folder / "cells.h5ad", lazily=True)


def h5ad_by_genes(adata, folder):
    adata.X = adata.X.tocsc()
    return h5ad(adata, folder)


def zarr(adata, folder):
    adata.write_zarr(folder / "cells.zarr")
    return smg.read(folder / "cells.zarr", lazily=True)


def backed(adata, folder):
    adata.write_h5ad(folder / "cells.h5ad")
    return ad.read_h5ad(folder / "cells.h5ad", backed="r")


def two_files(adata, folder):
    for name, cells in (("a", slice(0, 100)), ("b", slice(100, None))):
        adata[cells].write_h5ad(folder / f"{name}.h5ad")
    return smg.read([folder / "a.h5ad", folder / "b.h5ad"], lazily=True)


PLACES = {f.__name__: f for f in (whole, h5ad, h5ad_by_genes, zarr, backed, two_files)}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_results_are_those_of_the_genes_alone(adata, cite, tmp_path, place):
    cite = place(cite, tmp_path)
    for cells in (adata, cite):
        smg.tl.smash(cells, "cell_type", model_options=FEW_TREES)
        smg.tl.panel(cells, "cell_type", n_genes=5, mask_var="smash_candidate")
        smg.tl.evaluate(cells, "cell_type", n_genes=3, n_splits=2, n_random=1)
    pd.testing.assert_frame_equal(smg.get.markers(cite), smg.get.markers(adata))
    pd.testing.assert_frame_equal(smg.get.panel_table(cite), smg.get.panel_table(adata))
    pd.testing.assert_frame_equal(smg.get.evaluation_splits(cite), smg.get.evaluation_splits(adata))
    assert smg.get.marker_panel(cite, 9) == smg.get.marker_panel(adata, 9)
    proteins = cite.var["feature_types"].to_numpy() != "Gene Expression"
    for name in ("smash_candidate", "smash_marker", "smash_panel"):
        assert cite.var[name].dtype == bool
        assert not cite.var[name][proteins].any()
        assert cite.var[name][~proteins].tolist() == adata.var[name].tolist()
    for name in adata.varm:
        np.testing.assert_array_equal(np.asarray(cite.varm[name])[~proteins], adata.varm[name])
    assert np.isnan(np.asarray(cite.varm["smash"])[proteins]).all()


@pytest.mark.slow
def test_the_steps_one_by_one_are_those_of_the_genes_alone(adata, cite):
    for cells in (adata, cite):
        smg.pp.filter_genes(cells, "cell_type")
        smg.pp.inverse_pca(cells, n_top=5)
        smg.tl.importance(cells, "cell_type", model_options=FEW_TREES)
        smg.tl.rank_markers(cells)
        smg.tl.stability(cells, "cell_type", n_genes=3, n_resamples=2)
        lists = {"genes": adata.var_names[:4]}
        smg.tl.spapros_metrics(cells, "cell_type", genes=lists, metrics=["knn_overlap"], mask_var="smash_candidate")
    for table in (smg.get.markers, smg.get.stability, smg.get.spapros_metrics):
        pd.testing.assert_frame_equal(table(cite), table(adata))


@pytest.mark.parametrize("of", [0, 1])
def test_one_of_several_files_may_say_what_the_features_are(adata, cite, tmp_path, of):
    for number, cells in enumerate((slice(0, 100), slice(100, None))):
        part = cite[cells].copy()
        if number != of:
            del part.var["feature_types"]
        part.write_h5ad(tmp_path / f"{number}.h5ad")
    whole = smg.read([tmp_path / "0.h5ad", tmp_path / "1.h5ad"])
    assert read(whole, {"groupby": "cell_type"}).names.tolist() == adata.var_names.tolist()


def test_a_function_of_ones_own_sees_genes_alone(cite):
    seen = []

    def choose(cells, n_genes):
        seen.append(cells.var_names.tolist())
        return cells.var_names[:n_genes]

    smg.tl.evaluate(cite, "cell_type", genes=choose, n_genes=4, n_splits=1)
    assert seen == [cite.var_names[cite.var["feature_types"] == "Gene Expression"].tolist()]


def test_an_antibody_cannot_be_asked_for(cite):
    with pytest.raises(KeyError, match="include: genes not in the data: 'CD0_TotalSeqB'"):
        smg.tl.panel(cite, "cell_type", n_genes=4, include=["CD0_TotalSeqB"])


def test_vendors_get_genes_alone(cite, tmp_path):
    smg.export.xenium_reference(cite, tmp_path, groupby="cell_type", ensembl_key="feature_types")
    with gzip.open(tmp_path / "features.tsv.gz", "rt") as file:
        lines = [line.split("\t") for line in file.read().splitlines()]
    assert len(lines) == 60
    assert not [line for line in lines if line[1].startswith("CD")]


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        ("feature_types", ("GEX", "ADT")),
        ("feature_types", ("Gene Expression", "Peaks")),
        ("feature_types", ("gene_expression", "CRISPR Guide Capture")),
        ("modality", ("Gene Expression", "Peaks")),
        ("modality", ("rna", "prot")),
    ],
)
def test_kinds_are_known_by_other_spellings(adata, column, kinds):
    cells = with_proteins(adata, kinds, column)
    assert cells.var_names[gene_rows(cells)].tolist() == adata.var_names.tolist()


def test_a_feature_without_a_kind_is_left_out_and_counted(adata, cite):
    cite.var["feature_types"] = [kind if kind != "Antibody Capture" else None for kind in cite.var["feature_types"]]
    assert gene_rows(cite) is None
    cite.var["feature_types"] = [*["Antibody Capture"] * 4, *cite.var["feature_types"][4:]]
    with pytest.warns(UserWarning, match=r"Antibody Capture \(4\), not given \(4\)"):
        assert len(read(cite, {"groupby": "cell_type"}).names) == 57


@pytest.mark.parametrize("kinds", ["Gene Expression", "Antibody Capture", "protein_coding", None])
def test_features_of_one_kind_are_all_used(adata, kinds):
    adata.var["feature_types"] = kinds
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(adata, {"groupby": "cell_type"}).names) == adata.n_vars


def test_kinds_of_genes_are_not_kinds_of_features(adata):
    adata.var["feature_types"] = ["protein_coding", "lncRNA"] * 30
    assert gene_rows(adata) is None


def test_sums_that_an_earlier_step_found_do_not_outlive_a_change_of_kinds(adata, cite):
    smg.pp.filter_genes(cite, "cell_type")
    del cite.var["feature_types"]
    smg.pp.filter_genes(cite, "cell_type")
    fresh = with_proteins(adata)
    del fresh.var["feature_types"]
    smg.pp.filter_genes(fresh, "cell_type")
    pd.testing.assert_frame_equal(cite.uns["smash"]["filters"], fresh.uns["smash"]["filters"])
    assert len(read(cite, {"groupby": "cell_type"}).stats.detected[0]) == 65
