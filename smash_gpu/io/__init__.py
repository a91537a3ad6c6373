"""Files and stores: opening, joining, reading, checking."""

from smash_gpu.io import csc_to_csr, stack  # these register CSC on disk and stacks in `matrices`

__all__ = ["csc_to_csr", "stack"]
