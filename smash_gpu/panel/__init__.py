"""Panel design: exactly N genes that separate every pair of classes, within the limits of an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    import numpy as np

    from smash_gpu.data.dataset import Dataset
    from smash_gpu.errors import InfeasibleError
    from smash_gpu.panel.choice import design
    from smash_gpu.panel.classes import Level
    from smash_gpu.panel.known_profiles import choose_known
    from smash_gpu.panel.problem import Problem, prepare
    from smash_gpu.panel.request import Request
    from smash_gpu.panel.result import Design

__all__ = ["Design", "InfeasibleError", "Level", "Problem", "Request", "choose", "choose_known", "design", "prepare"]
__getattr__ = names_from(
    __name__,
    {
        "choice": ["InfeasibleError", "design"],
        "classes": ["Level"],
        "known_profiles": ["choose_known"],
        "problem": ["Problem", "prepare"],
        "request": ["Request"],
        "result": ["Design"],
    },
)


def choose(n_genes: int, **options: Any) -> Callable[[Dataset], np.ndarray]:
    """A function that takes data and returns the gene numbers of a panel of ``n_genes`` genes, in order of choice.

    The options are those of `tl.panel`.
    """
    from smash_gpu.panel.choice import design
    from smash_gpu.panel.classes import Level
    from smash_gpu.panel.problem import prepare
    from smash_gpu.panel.request import Request

    request = Request.of({"n_genes": n_genes, **options})

    def chosen(data: Dataset) -> np.ndarray:
        return design(prepare(data, [Level("group", data.group, data.groups)], request)).panel

    return chosen
