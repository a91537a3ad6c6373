"""Marker genes for spatial transcriptomics from annotated single-cell data, on GPUs and laptops."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    from smash_gpu import datasets, errors, export, get, models, pl, pp, report, tl
    from smash_gpu.io.read import read
    from smash_gpu.panel.platforms import platforms
    from smash_gpu.selection.options import paper

__version__ = version("smash-gpu")
__all__ = [
    "__version__", "datasets", "errors", "export", "get", "models", "paper", "pl", "platforms", "pp", "read",
    "report", "tl",
]  # fmt: skip
__getattr__ = names_from(  # so that the command line answers --help without them
    __name__,
    {"io.read": ["read"], "panel.platforms": ["platforms"], "selection.options": ["paper"]},
    modules=["datasets", "errors", "export", "get", "models", "pl", "pp", "report", "tl"],
)


def __dir__() -> list[str]:
    return __all__
