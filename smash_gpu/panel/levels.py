"""What a panel looks like in every class: transcripts per cell, mean expression, share of cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu.panel.constraints import Expression
from smash_gpu.panel.request import Request
from smash_gpu.panel.result import Design


def crowding(
    expressed: Expression, request: Request, genes: np.ndarray, share: float | np.ndarray = 1.0
) -> pd.DataFrame:
    """Mean counts per cell of the numbered genes together, and the cap, per class of every column.

    ``transcripts`` is NaN if counts are not known, ``limit`` where there is none.

    Parameters
    ----------
    share
        Of the counts of each of ``genes`` that is seen.
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
        counted = (expressed.counts_per_cell()[:, genes] * share).sum(axis=1)
    names = {"column": classes.levels, "class": classes.names, "cells": classes.n_cells}
    return pd.DataFrame(names | {"transcripts": counted, "limit": limit})


def in_classes(design: Design) -> dict[str, pd.DataFrame | np.ndarray]:
    """The table ``crowding``, and mean expression and share of cells of the chosen genes, classes × genes, float32.

    Without classes only the table, with one row.
    """
    problem, sets, share = design.problem, design.problem.probe_sets, np.ones(len(design.whole))
    if sets is not None:
        share[: len(design.panel)] = sets.number[design.panel] / sets.high[design.panel]
    table = crowding(problem.expressed, problem.request, design.whole, share)
    if problem.is_label_free:
        return {"crowding": table}
    stats = problem.expressed.stats
    found = {"class_mean": stats.mean, "class_fraction": stats.fraction}
    return {"crowding": table} | {name: values[:, design.panel].astype(np.float32) for name, values in found.items()}
