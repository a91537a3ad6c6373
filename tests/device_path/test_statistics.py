"""Statistics on a stand-in device: CuPy's refusals and the kernels' own text.

What the real libraries do is for `test_contracts` and, on a device, `test_gpu`.
"""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
from cases.device import on
from cells import in_dask
from scipy import sparse
from strict_cupy import DeviceArray, DeviceCsr

from smash_gpu.blocks.fold import in_halves
from smash_gpu.data import stats
from smash_gpu.data.dataset import Dataset
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, InversePCA


def test_the_stand_in_refuses_what_cupy_refuses(device):
    x, host = DeviceArray(np.arange(4.0)), np.arange(4.0)
    refused = (
        lambda: x + host,
        lambda: host + x,
        lambda: np.asarray(x),
        lambda: x[host.astype(int)],
        lambda: x.__setitem__(slice(2), host[:2]),
        lambda: device.maximum(x, host),
        lambda: device.concatenate([x, host]),
        lambda: device.maximum(x, [1.0, 2.0, 3.0, 4.0]),
        lambda: device.add(x, 1, out=x[::-1]),
        lambda: device.add(x.view(np.int64), 1, out=x),
    )
    for mixed in refused:
        with pytest.raises(TypeError):
            mixed()
    assert isinstance(x.sum(), DeviceArray)
    assert isinstance(2 * x + np.float64(1), DeviceArray)


@pytest.mark.parametrize("where", ["host", "device", "dask"])
def test_statistics_filters_and_inverse_pca_choose_the_same_genes(device, data, where):
    gpu = on(data, "cuda")
    if where == "device":
        gpu = replace(gpu, matrix=DeviceCsr(data.matrix))
    if where == "dask":
        pytest.importorskip("dask.array")
        gpu = replace(gpu, matrix=in_dask(data.matrix, 70))
    np.testing.assert_array_equal(gpu.stats.detected, data.stats.detected)
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.counts)
    assert np.all(np.abs(gpu.stats.total - data.stats.total) <= 2e-9 * data.stats.detected + 1e-12)
    chosen = []
    for part in (data, gpu):
        filtered, _ = steps.filter_genes(part, Filters(families=()))
        chosen.append(steps.inverse_pca(part, filtered, InversePCA(n_top=3, variance=0.3))[0])
    assert 0 < chosen[0].sum() < filtered.sum()
    np.testing.assert_array_equal(*chosen)


def unsorted_with_duplicates(matrix):
    """The same matrix with every value in two halves, at the two ends of its row."""
    rows = [np.r_[cells, cells[::-1]] for cells in np.split(np.arange(matrix.nnz), matrix.indptr[1:-1])]
    order = np.concatenate(rows)
    return sparse.csr_matrix((matrix.data[order] / 2, matrix.indices[order], matrix.indptr * 2), matrix.shape)


def dense_integers(matrix):
    return DeviceArray(matrix.toarray().astype(np.int64))


@pytest.mark.parametrize("hold", [lambda m: DeviceCsr(unsorted_with_duplicates(m)), dense_integers])
def test_what_the_kernels_cannot_take_is_converted_on_the_device(device, data, hold):
    gpu = replace(on(data, "cuda"), matrix=hold(data.matrix))
    np.testing.assert_array_equal(gpu.stats.detected, data.stats.detected)
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.counts)
    found = gpu.expression(np.array([4, 1]))
    np.testing.assert_allclose(found.get(), data.expression(np.array([4, 1])), rtol=1e-6)


def test_true_and_false_are_counted_on_a_device(device, data):
    matrix = data.matrix.astype(bool)
    gpu = replace(on(data, "cuda"), matrix=DeviceCsr(matrix))
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.detected)


@pytest.mark.slow
def test_a_matrix_on_the_device_is_asked_once_whether_it_is_canonical(device, data, monkeypatch):
    gpu = replace(on(data, "cuda"), matrix=DeviceCsr(data.matrix))
    monkeypatch.setattr(DeviceCsr, "questions", 0)
    _ = on(gpu, "cuda").stats
    _ = gpu.stats
    gpu.expression(np.array([4, 1]))
    assert DeviceCsr.questions == 1


def test_a_block_that_did_not_fit_is_gone_before_its_halves_are_tried():
    """An exception holds on to the arrays of the frames that it passed through."""
    held = []

    def step(cut):
        assert all(block() is None for block in held), "memory of the whole block is still taken"
        block = np.zeros(cut.stop - cut.start)
        held.append(weakref.ref(block))
        if len(block) > 3:
            raise IndexError("invalid index") from MemoryError("of CuPy")
        return len(block)

    with pytest.warns(UserWarning, match="half as many"):
        assert in_halves(step, slice(0, 10)) == 10
    assert len(held) > 5


def test_the_sums_on_a_device_are_equal_bit_for_bit_in_every_run(device, data):
    first, second = (stats.group_stats(data.matrix, data.group, 3, device="cuda") for _ in range(2))
    np.testing.assert_array_equal(first.square, second.square)


def test_a_cell_left_out_is_left_out_on_a_device(device, data):
    part = data.only(data.cells[::3])
    np.testing.assert_array_equal(on(part, "cuda").stats.detected, part.stats.detected)
    found = on(part, "cuda").expression(np.array([4, 1]))
    assert isinstance(found, DeviceArray)
    np.testing.assert_allclose(found.get(), part.expression(np.array([4, 1])), rtol=1e-6)


def test_large_counts_are_detected_on_a_device(device):
    counts = sparse.csr_matrix(np.array([[0, 200], [1, 128], [3, 0]], dtype=np.float32))
    group, genes = np.array([0, 0, 1]), np.array([1, 0])
    for where in ("cpu", "cuda"):
        cells, detected = stats.detections(counts, group, 2, genes, device=where)
        np.testing.assert_array_equal(cells, [2, 1])
        np.testing.assert_array_equal(detected, [[2, 1], [0, 1]])


def test_csr_in_a_dataset_is_never_dense(device, data):
    """Only the genes asked for leave the sparse block."""
    wide = sparse.hstack([data.matrix, sparse.csr_matrix((data.matrix.shape[0], 5000), dtype=np.float32)]).tocsr()
    found = Dataset(wide, data.group, data.groups, np.arange(wide.shape[1]), np.arange(wide.shape[1]), device="cuda")
    assert found.expression(np.array([0, 4000])).shape == (len(data.cells), 2)
