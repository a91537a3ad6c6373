"""Clusters, places of a Dask array, and selections to compare, for tests on a cluster."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.experimental import read_elem_lazy
from cells import in_dask

import smash_gpu as smg

N_CELLS, N_GENES = 900, 70
UNEVEN = (1, 210, 60, 0, 400, 229)
STARTS_PER_RUN = 60  # a run takes less than starting so many clusters
FEW_TREES = {"n_estimators": 8}


@contextmanager
def cluster_of(n_workers):
    """A client of so many processes with one thread each."""
    from distributed import Client, LocalCluster

    options = {"processes": True, "n_workers": n_workers, "threads_per_worker": 1, "memory_limit": "1GB"}
    with LocalCluster(**options, dashboard_address=None, silence_logs="CRITICAL") as cluster, Client(cluster) as client:
        client.wait_for_workers(n_workers)
        yield client


@contextmanager
def timed_cluster():
    """A client of two workers, and the seconds in which a run must end even if one is lost: more on a busy machine."""
    start = time.monotonic()
    with cluster_of(2) as client:
        yield client, STARTS_PER_RUN * max(time.monotonic() - start, 2.0)


def in_zarr(stored, name, **options):
    return read_elem_lazy(zarr.open_group(stored / "cells.zarr", mode="r")[name], **options)


def in_h5ad(_, stored):
    return read_elem_lazy(h5py.File(stored / "cells.h5ad")["X"], chunks=(70, N_GENES))


def uneven(cells, _):
    import dask.array as da

    ends = np.cumsum([0, *UNEVEN])
    blocks = [cells.X[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]
    return da.concatenate([da.from_array(block, chunks=-1, asarray=False) for block in blocks])


PLACES = {
    "h5ad": in_h5ad,
    "zarr": lambda _, stored: in_zarr(stored, "csr", chunks=(130, N_GENES)),
    "memory": lambda cells, _: in_dask(cells.X.tocsr(), 47),
    "uneven": uneven,
    "persisted": lambda *where: in_h5ad(*where).persist(),
    "stored by genes": lambda _, stored: in_zarr(stored, "csc", chunks=(N_CELLS, 20)),
    "dense": lambda _, stored: in_zarr(stored, "dense", chunks=(90, 32)),
    "dense in memory": lambda cells, _: pytest.importorskip("dask.array").from_array(
        cells.X.toarray(), chunks=(99, -1)
    ),
}


def codes(cells):
    group = cells.obs["cell_type"].cat.codes.to_numpy().astype(np.int64)
    group[::11] = -1
    return group


def smash(cells, X, model, **options):
    adata = ad.AnnData(X, obs=cells.obs.copy(), var=cells.var.copy())
    how = {"filters": {"families": ()}, "n_top": 3, "sample_key": "sample", "random_state": 1}
    smg.tl.smash(adata, "cell_type", model=model, **{"model_options": FEW_TREES} | how | options)
    return adata


def assert_same_selection(found, expected, exact):
    compare = np.testing.assert_array_equal if exact else partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6)
    compare(found.varm["smash"], expected.varm["smash"])
    compare(found.var["smash_importance"], expected.var["smash_importance"])
    np.testing.assert_array_equal(found.uns["smash"]["accuracy"], expected.uns["smash"]["accuracy"])
    np.testing.assert_array_equal(found.var["smash_candidate"], expected.var["smash_candidate"])
    tables = smg.get.markers(found), smg.get.markers(expected)
    if tables[0]["auc"].isna().all():  # the cells stay on the workers, and none is ranked
        assert found.uns["smash"]["params"]["importance"]["model"] == "xgboost"
        tables = [table.drop(columns="auc") for table in tables]
    pd.testing.assert_frame_equal(*tables, rtol=1e-3)
