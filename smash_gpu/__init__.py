"""Marker genes for spatial transcriptomics from annotated single-cell data, on GPUs and laptops."""

from importlib.metadata import version

from smash_gpu import export, get, models, pl, pp, report, tl

__version__ = version("smash-gpu")
__all__ = ["export", "files", "get", "models", "pl", "pp", "report", "tl"]
