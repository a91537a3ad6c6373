"""Files and stores: opening, joining, reading, checking."""

from smash_gpu.io import csc_to_csr, stack, zarr_arrays  # these register kinds of matrices and arrays

__all__ = ["csc_to_csr", "stack", "zarr_arrays"]
