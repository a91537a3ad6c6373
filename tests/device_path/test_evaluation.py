"""Evaluation, correlations and stability with the matrix on a stand-in device give what the host gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import strict_cupy
from cells import planted
from strict_cupy import DeviceArray, DeviceCsr

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.annotated.read import read
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Condition, Judging, classifiers, stability
from smash_gpu.evaluation.peers import correlation, neighbours


class StandInClassifier:
    """Takes what cuML's classifiers take on a device, and gives arrays of the host, as they are asked to."""

    def __init__(self, on_host, random_state):
        self.model = on_host(random_state)

    def fit(self, X, y):
        assert isinstance(X, DeviceArray) and isinstance(y, DeviceArray) and y.dtype == np.int32
        self.model.fit(X.get(), y.get())

    def predict(self, X):
        assert isinstance(X, DeviceArray)
        return self.model.predict(X.get())


@pytest.fixture
def both(monkeypatch, rng):
    """The planted cells on the host, and on a device as arrays and as a host matrix that is read for one."""
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 50)
    host = read(planted(rng), {"groupby": "cell_type", "device": "cpu"})
    strict_cupy.install(monkeypatch)
    for name in classifiers.CLASSIFIERS:
        on_host = getattr(classifiers, f"_{name}")
        monkeypatch.setattr(classifiers, f"_{name}_on_device", partial(StandInClassifier, on_host))
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


def test_expression_and_folds_stay_on_the_device(both, monkeypatch):
    """Only numbers per gene come to the host while lists are judged, and predictions."""
    host, (_, on_device) = both
    seen, get = [], DeviceArray.get

    def recorded(array):
        seen.append(array.size)
        return get(array)

    monkeypatch.setattr(StandInClassifier, "fit", lambda self, X, y: self.model.fit(get(X), get(y)))
    monkeypatch.setattr(StandInClassifier, "predict", lambda self, X: self.model.predict(get(X)))
    monkeypatch.setattr(DeviceArray, "get", recorded)
    _ = on_device.stats
    seen.clear()
    genes, splits = np.array([9, 3, 20, 21]), [Split(np.arange(160), np.arange(160, 240))] * 2
    how = Judging(("knn",), conditions=(Condition(), Condition(dropout=0.4)))
    evaluation.evaluate(on_device, {"a": lambda _: genes, "b": lambda _: genes[:2]}, splits, how=how)
    assert max(seen) <= len(genes)


def test_a_matrix_in_memory_is_moved_once_for_several_selections(both, monkeypatch):
    host, (read_for_device, on_device) = both
    moved = read_for_device.held()
    assert isinstance(moved.matrix, DeviceCsr)
    np.testing.assert_array_equal(moved.stats.counts, host.stats.counts)
    assert moved.held().matrix is moved.matrix
    assert on_device.held() is on_device
    assert host.held() is host
    monkeypatch.setattr("smash_gpu.data.dataset.device_room", lambda: 12 * host.matrix.nnz)
    assert read_for_device.held() is read_for_device


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


def test_a_tissue_is_labelled_alike(both, monkeypatch, rng):
    found = []
    for device in ("cpu", "cuda"):
        reference, tissue = planted(np.random.default_rng(3)), planted(np.random.default_rng(4), n_cells=90)
        monkeypatch.setattr("smash_gpu.annotated.read.resolve_device", lambda _, device=device: device)
        smg.tl.transfer(
            reference,
            tissue,
            "cell_type",
            genes=["MARKER0X", "NOISE9", "MARKER1X"],
            classifier=["knn", "logreg"],
            n_random=1,
        )
        found.append((tissue.obsm["smash_transfer"], smg.get.transfer(tissue, "cases")))
    (labels, table), (same, other) = found
    np.testing.assert_array_equal(labels, same)
    pd.testing.assert_frame_equal(table, other)
