"""Marker genes for spatial transcriptomics from annotated single-cell data, on GPUs and laptops."""

import os
from typing import TYPE_CHECKING

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    from smash_gpu import datasets, errors, export, get, models, pl, pp, report, tl
    from smash_gpu.io.read import read
    from smash_gpu.panel.platforms import platforms
    from smash_gpu.runtime.progress import settings
    from smash_gpu.runtime.versions import __version__
    from smash_gpu.selection.options import paper

# before the libraries are loaded: threads that spin long while they wait take many times as long beside a busy process
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # a little: XGBoost is 15 % slower without

__all__ = [
    "__version__", "datasets", "errors", "export", "get", "models", "paper", "pl", "platforms", "pp", "read",
    "report", "settings", "tl",
]  # fmt: skip
__getattr__ = names_from(  # so that the command line answers --help without them
    __name__,
    {
        "io.read": ["read"],
        "panel.platforms": ["platforms"],
        "runtime.progress": ["settings"],
        "runtime.versions": ["__version__"],
        "selection.options": ["paper"],
    },
    modules=["datasets", "errors", "export", "get", "models", "pl", "pp", "report", "tl"],
)


def __dir__() -> list[str]:
    return __all__
