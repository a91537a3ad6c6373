"""Files and stores: opening, joining, reading, checking."""

from smash_gpu.io import csc_to_csr, stack  # which tell `matrices` of CSC on disk and of stacks

__all__ = ["csc_to_csr", "stack"]
