"""Designed panels and their counts per cell."""

from __future__ import annotations

import numpy as np

from smash_gpu import panel
from smash_gpu.panel.problem import prepare


def designed(data, table=None, **options):
    levels = [panel.Level("cell_type", data.group, data.groups)]
    return panel.design(prepare(data, levels, panel.Request.of(options), table=table))


def names(design):
    return [str(name) for name in design.problem.genes.names[design.panel]]


def counts_per_cell(data):
    dense = data.matrix.toarray().astype(float)
    return np.array([dense[data.group == c].mean(axis=0) for c in range(data.n_groups)])
