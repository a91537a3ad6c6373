"""Marker genes for spatial transcriptomics from annotated single-cell data, on GPUs and laptops."""

from importlib import import_module
from importlib.metadata import version
from types import ModuleType

from smash_gpu import datasets, errors, export, get, models, pl, pp, tl
from smash_gpu.io.read import read
from smash_gpu.panel.platforms import platforms
from smash_gpu.selection.options import paper

__version__ = version("smash-gpu")
__all__ = [
    "__version__", "datasets", "errors", "export", "get", "models", "paper", "pl", "platforms", "pp", "read",
    "report", "tl",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> ModuleType:
    if name != "report":  # which few sessions need
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("smash_gpu.report")
