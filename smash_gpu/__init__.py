"""Marker genes for spatial transcriptomics from annotated single-cell data, on GPUs and laptops."""

from importlib.metadata import version

from smash_gpu import export, get, models, pl, pp, report, tl
from smash_gpu.io.open import open_file as read
from smash_gpu.selection.options import paper

__version__ = version("smash-gpu")
__all__ = ["export", "get", "models", "paper", "pl", "pp", "read", "report", "tl"]
