"""What one step has found out about the values holds for the next, until they change."""

from __future__ import annotations

import gc
import pickle
import weakref

import anndata as ad
import numpy as np
import pytest
from cases.steps import filter_genes, importance

import smash_gpu as smg
from smash_gpu.annotated.read import read

MARKERS = ["MARKER0X", "MARKER1X", "MARKER2X"]
STEPS = {
    "pp.filter_genes": filter_genes,
    "pp.inverse_pca": smg.pp.inverse_pca,
    "tl.importance": importance,
    "tl.rank_markers": smg.tl.rank_markers,
}
LATER = {
    **STEPS,
    "tl.smash": lambda adata: smg.tl.smash(adata, "cell_type"),
    "tl.panel": lambda adata: smg.tl.panel(adata, "cell_type", n_genes=5),
    "tl.evaluate": lambda adata: smg.tl.evaluate(adata, "cell_type", genes=MARKERS),
    "tl.stability": lambda adata: smg.tl.stability(adata, "cell_type", n_genes=3, n_resamples=2),
}


@pytest.fixture
def after_all_steps(adata):
    for step in STEPS.values():
        step(adata)
    return adata


def spoil(adata):
    assert read(adata, {"groupby": "cell_type"}).known.is_checked
    adata.X.data[7] = np.nan


@pytest.mark.parametrize("step", LATER.values(), ids=LATER)
def test_one_value_that_changes_between_two_steps_is_seen(after_all_steps, step):
    spoil(after_all_steps)
    before = after_all_steps.copy()
    with pytest.raises(ValueError, match="1 NaN or infinite values.*replace"):
        step(after_all_steps)
    assert repr(dict(after_all_steps.uns)) == repr(dict(before.uns))
    assert after_all_steps.var.equals(before.var)
    assert set(after_all_steps.varm) == set(before.varm)


def test_one_value_that_changes_before_an_export_is_seen_and_nothing_is_written(after_all_steps, tmp_path):
    spoil(after_all_steps)
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        smg.export.xenium_reference(after_all_steps, tmp_path / "new", groupby="cell_type")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("changed", ["counts", "groups"])
def test_sums_of_other_counts_or_groups_are_not_taken_over(after_all_steps, rng, changed):
    adata = after_all_steps
    if changed == "counts":
        adata.X.data[:] = adata.X.data[::-1].copy()
    else:
        adata.obs["cell_type"] = adata.obs["cell_type"].to_numpy()[rng.permutation(adata.n_obs)]
    smg.tl.rank_markers(adata)
    fresh = read(adata.copy(), {"groupby": "cell_type"})
    assert not fresh.known.is_checked
    np.testing.assert_array_equal(adata.varm["smash_mean"], fresh.stats.mean.T.astype(np.float32))


def test_a_file_that_is_written_again_is_checked_again(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    held = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    _ = read(held, {"groupby": "cell_type"}).stats
    assert read(held, {"groupby": "cell_type"}).known.is_checked
    assert not read(held, {"groupby": "cell_type", "normalize": False}).known.is_checked
    held.file.close()
    adata.X.data[0] = -1
    adata.write_h5ad(tmp_path / "cells.h5ad")
    held.file.open()
    with pytest.raises(ValueError, match="1 negative values"):
        importance(held)


def test_an_open_file_that_can_be_written_to_is_always_checked(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    held = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r+")
    _ = read(held, {"groupby": "cell_type"}).stats
    assert not read(held, {"groupby": "cell_type"}).known.is_checked


def test_what_is_known_goes_with_the_annotated_data(adata):
    own = adata.copy()
    _ = read(own, {"groupby": "cell_type"}).stats
    assert read(own, {"groupby": "cell_type"}).known.sums
    gone = weakref.ref(own)
    del own
    gc.collect()
    assert gone() is None


def test_a_file_that_changes_behind_a_dask_array_is_checked_again(adata, tmp_path):
    zarr, da = pytest.importorskip("zarr"), pytest.importorskip("dask.array")
    stored = zarr.create_array(str(tmp_path / "X.zarr"), data=adata.X.toarray(), chunks=(60, 60))
    adata.X = da.from_zarr(stored)
    filter_genes(adata)
    candidates = adata.var["smash_candidate"].sum()
    stored[:, :20] = 0
    filter_genes(adata)
    assert adata.var["smash_candidate"].sum() < candidates
    stored[:, 30] = np.nan
    with pytest.raises(ValueError, match="240 NaN or infinite values"):
        importance(adata)


def test_data_can_be_sent_to_another_process(adata):
    data = read(adata, {"groupby": "cell_type"})
    sent = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(sent.stats.counts, data.stats.counts)
