"""Matrices in stores."""

from __future__ import annotations

from cells import PUT

ON_DISK = ["h5ad_csr", "h5ad_csc", "h5ad_dense", "zarr_csr", "zarr_dense"]
IN_MEMORY = ["numpy", "csr_matrix", "csr_array", "csc_matrix", "dask_csr", "dask_dense"]


def put(kind, matrix, path):
    path.mkdir(exist_ok=True)
    return PUT[kind](matrix, path)
