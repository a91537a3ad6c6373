"""A panel without classes: what stands for them, and the options that need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.panel.classes import ALL_CELLS, Level
from smash_gpu.panel.fitting import NOT_APPLIED
from smash_gpu.panel.request import Request
from smash_gpu.runtime.words import join_names

NEED_CLASSES = (
    "tau", "prior", "ignore", "class_weights", "pair_weights", "positive_only", "min_markers", "failure_rate",
    "probe_sets", "sample_fraction", "min_cells_per_sample", "tune",
)  # fmt: skip
NO_SETS = f"{NOT_APPLIED}without classes every gene has all its probe sets"


def all_cells(n_cells: int) -> Level:
    """All cells as the one class of a column without a name."""
    return Level("", np.zeros(n_cells, dtype=np.int64), np.array([ALL_CELLS], dtype=object))


def refuse(request: Request, more: Mapping[str, Any]) -> None:
    """Raise a ValueError for options that need classes; ``more`` are others, which are not given where None.

    Raises
    ------
    ValueError
        With their names.
    """
    default = {field.name: getattr(Request(), field.name) for field in fields(Request)}
    given = [f"{name}=" for name in NEED_CLASSES if getattr(request, name) != default[name]]
    given += [f"{name}=" for name, value in more.items() if value is not None]
    if isinstance(request.max_transcripts, Mapping):
        given.append("max_transcripts= by class")
    if given:
        what = f"{join_names(given)} {'needs' if len(given) == 1 else 'need'}"
        raise ValueError(f"{what} classes; give groupby= too, or leave {'it' if len(given) == 1 else 'them'} out.")


def with_all_sets(request: Request, platform: pd.DataFrame) -> tuple[Request, pd.DataFrame]:
    """The request without a choice of probe sets, as the numbers of the platform may have it, and their table."""
    if request.probe_sets is None:
        return request, platform
    used = platform["used"].where(platform["quantity"] != "probe_sets", NO_SETS)
    return replace(request, probe_sets=None), platform.assign(used=used)
