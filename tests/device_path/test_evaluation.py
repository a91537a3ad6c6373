"""Evaluation, correlations and stability with the matrix on a stand-in device give what the host gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import strict_cupy
from cells import planted
from strict_cupy import DeviceCsr

from smash_gpu import evaluation
from smash_gpu.annotated.read import read
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Condition, Judging, classifiers, stability
from smash_gpu.evaluation.peers import correlation, neighbours


@pytest.fixture
def both(monkeypatch, rng):
    """The planted cells on the host, and on a device as arrays and as a host matrix that is read for one."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 50)
    host = read(planted(rng), {"groupby": "cell_type", "device": "cpu"})
    strict_cupy.install(monkeypatch)
    for name in classifiers.CLASSIFIERS:  # what cuML takes and gives are arrays of the host
        monkeypatch.setattr(classifiers, f"_{name}_on_device", getattr(classifiers, f"_{name}"))
    return host, [replace(host, device="cuda"), replace(host, device="cuda", matrix=DeviceCsr(host.matrix))]


@pytest.mark.slow
def test_lists_are_judged_alike(both):
    host, on_device = both
    split, genes = Split(np.arange(160), np.arange(160, 240)), np.array([9, 3, 20, 21])
    how = Judging(("knn", "logreg"), n_random=1, conditions=(Condition(), Condition(thin=0.4)))
    expected = evaluation.evaluate(host, lambda _: genes, [split], how=how)
    for data in on_device:
        found = evaluation.evaluate(data, lambda _: genes, [split], how=how)
        np.testing.assert_array_equal(found.confusions, expected.confusions)


def test_correlations_and_neighbours_are_alike(both):
    host, on_device = both
    genes = np.array([0, 9, 30])
    for data in on_device:
        for found, expected in zip(
            correlation.correlation(data, genes), correlation.correlation(host, genes), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-6)
        found, expected = (neighbours.sparse_expression(d, genes).toarray() for d in (data, host))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_halves_are_the_same_cells(both):
    host, on_device = both
    seen = {}
    for name, data in (("host", host), ("device", on_device[0])):
        cells = seen.setdefault(name, [])
        stability.resample(data, lambda part, cells=cells: cells.append(part.cells) or np.arange(3), n_resamples=2)
    for found, expected in zip(seen["device"], seen["host"], strict=True):
        np.testing.assert_array_equal(found, expected)
