"""Places of a Dask array and the comparisons for tests on a cluster."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr
from anndata.experimental import read_elem_lazy
from cells import in_dask

N_CELLS, N_GENES = 900, 70
UNEVEN = (1, 210, 60, 0, 400, 229)


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
