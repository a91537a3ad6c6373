"""Ways to store a matrix, and comparisons of what was read."""

from __future__ import annotations

import anndata as ad
import numpy as np
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.read import raw_of
from smash_gpu.annotated.read import read as read_dataset
from smash_gpu.io.lazy import OnDisk

FEW_TREES = {"n_estimators": 10}


def stats(adata, groupby="cell_type", **source):
    return read_dataset(adata, {"groupby": groupby, **source}).stats


def assert_same(found, expected):
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.detected, expected.detected)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.total, expected.total, rtol=1e-6)
    np.testing.assert_allclose(found.square, expected.square, rtol=1e-6)


def markers(adata, **options):
    found = smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, **options)
    return smg.get.markers(adata if found is None else found).astype({"group": str})


FORMS = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda X: X.toarray()}
PLACES = {"X": {}, "layer": {"layer": "counts"}, "raw": {"use_raw": True}}


def placed(adata, matrix, place):
    """``matrix`` as ``X``, layer or raw; elsewhere lies something that would give other results."""
    other = sparse.csr_matrix(np.ones(adata.shape, dtype=np.float32))
    found = ad.AnnData(matrix if place == "X" else other, obs=adata.obs.copy(), var=adata.var.copy())
    if place == "layer":
        found.layers["counts"] = matrix
    if place == "raw":
        found.raw = ad.AnnData(matrix, obs=adata.obs, var=adata.var)
    return found


def with_everything(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata
    adata.obsm["X_pca"] = np.ones((adata.n_obs, 2))
    adata.uns["note"] = "kept"
    adata.varm["loadings"] = np.arange(2.0 * adata.n_vars).reshape(-1, 2)
    return adata


def own_choice(cells, n_genes):
    assert isinstance(cells, OnDisk)
    markers(cells, layer="counts")
    return smg.get.marker_panel(cells, n_genes)


def panel_of_a_model(adata):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    smg.tl.panel(adata, "cell_type", n_genes=5, weights="smash")


STEPS = {
    "smash": lambda adata: smg.tl.smash(adata, "cell_type", model_options=FEW_TREES),
    "smash of a layer": lambda adata: smg.tl.smash(adata, "cell_type", layer="counts", model_options=FEW_TREES),
    "smash of raw": lambda adata: smg.tl.smash(adata, "cell_type", use_raw=True, model_options=FEW_TREES),
    "smash of raw as X": lambda adata: smg.tl.smash(raw_of(adata), "cell_type", model_options=FEW_TREES),
    "panel": lambda adata: smg.tl.panel(adata, "cell_type", n_genes=5),
    "panel of a model": panel_of_a_model,
    "panel for a platform": lambda adata: smg.tl.panel(adata, "cell_type", n_genes=2, platform="scrinshot"),
    "validation": lambda adata: smg.tl.validate(adata, "cell_type", genes=["MARKER0X"], platform="scrinshot"),
    "transfer": lambda adata: smg.tl.transfer(adata, adata, "cell_type", genes=["MARKER0X", "MARKER1X"], n_random=1),
    "own choice in splits": lambda adata: smg.tl.evaluate(adata, "cell_type", genes=own_choice, n_genes=3, n_splits=1),
}  # fmt: skip


def split(adata, folder, *, suffixes=("h5ad", "zarr", "h5ad"), change=lambda part, number: part):
    """The cells in three files, the genes of each in another order."""
    paths = []
    for number, (suffix, cells) in enumerate(zip(suffixes, np.split(np.arange(adata.n_obs), [70, 171]), strict=True)):
        genes = np.random.default_rng(number).permutation(adata.n_vars) if number else slice(None)
        part = change(adata[cells, genes].copy(), number)
        paths.append(folder / f"part{number}.{suffix}")
        getattr(part, f"write_{suffix}")(paths[-1])
    return paths
