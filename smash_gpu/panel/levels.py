"""What a panel looks like in every class: transcripts per cell, mean expression, share of cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu.panel.constraints import TRANSCRIPTS, Expression
from smash_gpu.panel.request import Request
from smash_gpu.panel.result import Design
from smash_gpu.panel.tables import cap_table


def crowding(expressed: Expression, request: Request, genes: np.ndarray) -> pd.DataFrame:
    """Mean counts per cell of the numbered genes together, and the cap, per class of every column.

    ``transcripts`` is NaN if counts are not known, ``limit`` where there is none.
    """
    classes, caps = expressed.classes, request.max_transcripts
    limit = np.full(len(classes.names), np.nan)
    if isinstance(caps, Mapping):
        for name, most in caps.items():
            limit[classes.rows(name, "max_transcripts")] = most
    elif caps is not None:
        limit[:] = caps
    counted = np.full(len(limit), np.nan)
    if not expressed.why_no_counts:
        counted = expressed.counts_per_cell()[:, genes].sum(axis=1)
    names = {"column": classes.levels, "class": classes.names, "cells": classes.n_cells}
    return pd.DataFrame(names | {"transcripts": counted, "limit": limit})


def in_classes(design: Design) -> dict[str, pd.DataFrame | np.ndarray]:
    """The table ``crowding``, and mean expression and share of cells of the chosen genes, classes × genes, float32."""
    problem, caps = design.problem, cap_table(design)
    table = crowding(problem.expressed, problem.request, design.whole)
    used = caps[caps["constraint"] == TRANSCRIPTS].set_index("of")["used"]
    table["transcripts"] = [
        used.get(label, own) for label, own in zip(problem.classes.labels, table["transcripts"], strict=True)
    ]  # the sum that the cap is about
    stats = problem.expressed.stats
    found = {"class_mean": stats.mean, "class_fraction": stats.fraction}
    return {"crowding": table} | {name: values[:, design.panel].astype(np.float32) for name, values in found.items()}
