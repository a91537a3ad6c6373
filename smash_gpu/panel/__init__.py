"""Panel design: exactly N genes that tell every pair of classes apart, within the limits of an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import InfeasibleError
from smash_gpu.panel.choice import design
from smash_gpu.panel.classes import Level
from smash_gpu.panel.problem import Problem, prepare
from smash_gpu.panel.request import Request
from smash_gpu.panel.result import Design

__all__ = ["Design", "InfeasibleError", "Level", "Problem", "Request", "choose", "design", "prepare"]


def choose(n_genes: int, **options: Any) -> Callable[[Dataset], np.ndarray]:
    """A function from data to the numbers of the ``n_genes`` genes of a panel, in order; options as in `tl.panel`."""
    request = Request.of({"n_genes": n_genes, **options})

    def chosen(data: Dataset) -> np.ndarray:
        return design(prepare(data, [Level("group", data.group, data.groups)], request)).panel

    return chosen
