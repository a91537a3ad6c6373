"""Lists of genes and their evaluation."""

from __future__ import annotations

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.annotated.read import read

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
MIXED = ["MARKER0X", "NOISE20", "MARKER1X", "NOISE21", "NOISE22", "MARKER2X"]
NOISE = [f"NOISE{i}" for i in range(20, 32)]


def data_of(adata, **source):
    return read(adata, {"groupby": "cell_type", **source})


def judged(adata, **options):
    smg.tl.evaluate(adata, "cell_type", **options)
    return smg.get.evaluation_splits(adata)


def values(table, **case):
    for column, value in case.items():
        table = table[table[column] == value]
    return table[list(evaluation.METRICS)].to_numpy()
