"""Which matrix is read, and what is said of the others when it is refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.steps import expression, filter_genes, results, smash
from cells import in_dask
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated.matrix import parts_of
from smash_gpu.annotated.read import raw_of, read


def with_counts_in_raw(adata):
    """As in files of CELLxGENE."""
    adata.raw = adata.copy()
    adata.X = expression(adata)


def with_counts_of_more_genes_in_raw(adata):
    """As ``scale.data`` of Seurat."""
    adata.raw = adata.copy()
    adata._inplace_subset_var(np.arange(30))
    adata.X = expression(adata).toarray()
    adata.X = adata.X - adata.X.mean(axis=0)


def with_counts_in_a_layer(adata):
    adata.layers["raw counts"] = adata.X.copy()
    adata.X = expression(adata)


def with_logarithms_in_raw(adata):
    adata.raw = adata.copy()
    adata.raw.X.data[:] = expression(adata).data
    adata.X = adata.raw.X.toarray() - 1


ELSEWHERE = {
    "counts in raw": (with_counts_in_raw, r"adata\.raw holds whole numbers: pass use_raw=True\. Or pass normalize="),
    "more genes in raw": (
        with_counts_of_more_genes_in_raw,
        r"adata\.raw of 60 genes holds whole numbers: pass adata\.raw\.to_adata\(\) instead of adata\.$",
    ),
    "counts in a layer": (
        with_counts_in_a_layer, r"the layer 'raw counts' holds whole numbers: pass layer='raw counts'\."
    ),
    "logarithms in raw": (
        with_logarithms_in_raw, r"raw holds fractions as logarithms have: pass use_raw=True and normalize=False"
    ),
}  # fmt: skip
PUT = {
    "csr": lambda X: X,
    "csc": sparse.csc_matrix,
    "dense": lambda X: X.toarray(),
    "dask": lambda X: in_dask(X, 50),
}


@pytest.mark.parametrize("hold", PUT.values(), ids=PUT)
@pytest.mark.parametrize(("change", "message"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_refusal_says_where_the_counts_are(adata, change, message, hold):
    change(adata)
    if adata.raw is not None:
        adata.raw = ad.AnnData(hold(adata.raw.X), obs=adata.obs, var=adata.raw.var)
    for name in [name for name in adata.layers if name is not None]:  # since anndata 0.13 the layer None is X
        adata.layers[name] = hold(adata.layers[name])
    with pytest.raises(ValueError, match=message):
        filter_genes(adata)


@pytest.mark.parametrize("change", [with_counts_in_raw, with_counts_in_a_layer])
@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_a_refusal_says_where_the_counts_are_in_a_file(adata, tmp_path, change, lazily, kind):
    change(adata)
    getattr(adata, f"write_{kind}")(tmp_path / f"cells.{kind}")
    held = smg.read(tmp_path / f"cells.{kind}", lazily=lazily)
    with pytest.raises(ValueError, match="holds whole numbers: pass (use_raw=True|layer='raw counts')"):
        filter_genes(held)


def test_a_refusal_says_that_raw_of_several_files_holds_the_counts(adata, tmp_path):
    with_counts_in_raw(adata)
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    for path in paths:
        adata.write_h5ad(path)
    with pytest.raises(ValueError, match="raw of the files holds whole numbers: pass use_raw=True"):
        smg.tl.smash(paths, "cell_type")


def test_a_refused_layer_points_to_x(adata):
    adata.layers["logged"] = expression(adata)
    with pytest.raises(ValueError, match=r"adata\.X holds whole numbers: leave out layer=\."):
        filter_genes(adata, layer="logged")


@pytest.mark.parametrize("hold", PUT.values(), ids=PUT)
def test_raw_in_another_order_of_genes_is_followed(adata, hold):
    plain = adata.copy()
    smash(plain)
    turned = adata[:, ::-1].copy()
    turned.X = hold(turned.X)
    adata.raw = turned
    adata.X = adata.X.toarray() - 1
    smash(adata, use_raw=True)
    pd.testing.assert_frame_equal(results(adata), results(plain))


@pytest.mark.parametrize("lazily", [False, True])
def test_raw_in_another_order_of_genes_is_followed_in_a_file(adata, tmp_path, lazily):
    plain = adata.copy()
    smash(plain)
    adata.raw = adata[:, ::-1].copy()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    held = smg.read(tmp_path / "cells.h5ad", lazily=lazily)
    smash(held, use_raw=True)
    pd.testing.assert_frame_equal(results(held), results(plain))


def test_raw_of_as_many_other_genes_is_an_error_that_counts_those_in_both(adata):
    adata.raw = adata.copy()
    adata.var_names = [*adata.var_names[:50], *(f"OTHER{i}" for i in range(10))]
    with pytest.raises(ValueError, match=r"raw holds 60 genes and adata 60, 50 of them in both.*to_adata\(\)"):
        filter_genes(adata, use_raw=True)


def test_columns_that_raw_lacks_are_those_of_the_same_genes(adata):
    adata.raw = adata[:, ::-1].copy()
    adata.var["symbol"] = [f"S{name}" for name in adata.var_names]
    raw = raw_of(adata, ["symbol", None])
    assert raw.var["symbol"].tolist() == [f"S{name}" for name in raw.var_names]


def test_a_column_that_raw_lacks_is_named_as_one_of_raw(adata):
    adata.raw = adata.copy()
    with pytest.raises(KeyError, match=r"adata\.raw\.var has no column 'symbol', nor has adata\.var"):
        raw_of(adata, ["symbol"])
    adata._inplace_subset_var(np.arange(20))
    adata.var["symbol"] = "A"
    with pytest.raises(
        KeyError, match=r"adata\.raw\.var has no column 'symbol', and adata\.var, .* lacks 40 of the 60"
    ):
        raw_of(adata, ["symbol"])


@pytest.mark.parametrize("lazily", [False, True])
def test_files_are_parts_also_of_a_subset(adata, tmp_path, lazily):
    for name in "ab":
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    both = smg.read([tmp_path / "a.h5ad", tmp_path / "b.h5ad"], lazily=lazily)
    parts = parts_of(both[100:300])
    assert parts.names == ("a.h5ad", "b.h5ad")
    assert parts.code.tolist() == [0] * 140 + [1] * 60


def test_samples_or_batches_are_parts_where_there_is_one_file(adata):
    adata.obs["run"] = np.where(np.arange(240) % 2, "r1", "r2")
    data = read(adata, {"groupby": "cell_type", "sample_key": "sample", "batch_key": "run"})
    assert data.known.parts.names == tuple(f"sample {name}" for name in sorted(set(adata.obs["sample"])))
    data = read(adata, {"groupby": "cell_type", "batch_key": "run"})
    assert data.known.parts.names == ("batch r1", "batch r2")
    assert read(adata, {"groupby": "cell_type"}).known.parts is None


@pytest.mark.parametrize("lazily", [False, True])
def test_a_file_of_logarithms_among_counts_is_named(adata, tmp_path, lazily):
    adata.write_h5ad(tmp_path / "counts.h5ad")
    adata.X = expression(adata)
    adata.write_h5ad(tmp_path / "logs.h5ad")
    both = smg.read([tmp_path / "counts.h5ad", tmp_path / "logs.h5ad"], lazily=lazily)
    with pytest.raises(ValueError, match=r"logs\.h5ad is log-normalised: expm1 of every cell sums to 10,000"):
        smash(both)


def test_the_sample_of_logarithms_among_counts_is_named(adata):
    logged = adata.copy()
    logged.X = expression(adata)
    logged.obs["sample"] = "d9"
    both = ad.concat([adata, logged])
    both.obs_names_make_unique()
    with pytest.raises(ValueError, match="but sample d9 is log-normalised"):
        smash(both, sample_key="sample")
    with pytest.raises(ValueError, match="but 240 of 480 cells are log-normalised"):
        smash(both)


def test_an_explicit_normalize_is_heard_and_does_not_hold_for_a_later_step_without_it(adata):
    """Corrected counts that are small, as of shallow imaging data."""
    values = adata.X.toarray()
    adata.X = np.minimum(np.where(values > 0, np.maximum(values - 0.4, 0.1), 0), 15)
    with pytest.raises(ValueError, match="normalize=True if these are corrected counts"):
        filter_genes(adata)
    smash(adata, normalize=True)
    smg.tl.evaluate(adata, "cell_type", n_genes=5)  # as the earlier step
    smg.tl.panel(adata, "cell_type", n_genes=3, normalize=True, mean_counts=(0.01, None))
    assert (smg.get.panel_table(adata)["mean_counts"] > 0).all()
    with pytest.raises(ValueError, match="normalize=True if these are corrected counts"):
        smg.tl.panel(adata, "cell_type", n_genes=3)


def scaled(adata):
    values = adata.X.toarray()
    adata.X = sparse.csr_matrix(1e6 * values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def test_scaled_values_are_said_once_and_have_no_counts_per_cell(adata, tmp_path):
    plain = adata.copy()
    smg.tl.panel(plain, "cell_type", n_genes=3)
    scaled(adata)
    with pytest.warns(UserWarning, match="every cell of the matrix sums to 1,000,000: scaled") as said:
        smg.tl.panel(adata, "cell_type", n_genes=3)
        filter_genes(adata)
    assert len([one for one in said if "sums to" in str(one.message)]) == 1
    assert smg.get.panel(adata) == smg.get.panel(plain)
    assert "mean_counts" not in smg.get.panel_table(adata)
    for option in ({"mean_counts": (0.01, None)}, {"max_counts": (0, 5)}, {"max_transcripts": 300}):
        with pytest.raises(ValueError, match=f"{next(iter(option))} is in counts per cell, but every cell .* sums to"):
            smg.tl.panel(adata, "cell_type", n_genes=3, **option)
    with pytest.raises(ValueError, match="Xenium Panel Designer needs raw counts, but every cell .* sums to 1,000,000"):
        smg.export.xenium_reference(adata, tmp_path / "reference", groupby="cell_type")
    assert not (tmp_path / "reference").exists()


@pytest.mark.filterwarnings("ignore:every cell of the matrix sums to")
def test_a_stage_that_was_kept_knows_what_the_values_are(adata, tmp_path):
    """The sums are found in the folder, so no value is read again."""
    scaled(adata)
    smg.tl.panel(adata, "cell_type", n_genes=3, work=tmp_path)
    with pytest.raises(ValueError, match="mean_counts is in counts per cell, but every cell"):
        smg.tl.panel(adata.copy(), "cell_type", n_genes=3, mean_counts=(0.1, None), work=tmp_path)
    values = adata.X.toarray() / 1e5
    adata.X = np.minimum(np.where(values > 0, values + 0.1 * np.arange(240)[:, None], 0), 15)
    smg.tl.panel(adata, "cell_type", n_genes=3, normalize=True, work=tmp_path)
    with pytest.raises(ValueError, match="no value above 20"):
        smg.tl.panel(adata.copy(), "cell_type", n_genes=3, work=tmp_path)
