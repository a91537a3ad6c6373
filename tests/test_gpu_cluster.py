"""A cluster of one GPU gives what the GPU gives, and bin numbers beyond the memory of a device the same trees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases.cluster import N_CELLS, N_GENES, assert_same_selection, codes, smash, uneven
from cells import planted

from smash_gpu.compute.xp import to_device
from smash_gpu.data import stats
from smash_gpu.data.splits import stratified

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def client():
    dask_cuda = pytest.importorskip("dask_cuda")
    from distributed import Client

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "protocol": "tcp"}
    with dask_cuda.LocalCUDACluster(**options) as cluster, Client(cluster) as client:
        client.wait_for_workers(1, timeout=60)
        yield client


@pytest.fixture(scope="module")
def cells():
    return planted(np.random.default_rng(0), n_cells=N_CELLS, n_genes=N_GENES)


def test_statistics_through_a_cluster_are_those_of_the_device(client, cells):
    group = codes(cells)
    here, there = (stats.group_stats(X, group, 3, device="cuda") for X in (cells.X, uneven(cells, None)))
    for name in ("cells", "detected", "counts"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    np.testing.assert_allclose(there.square, here.square, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("model", "package"), [("xgboost", "xgboost"), ("rf", "cuml")])
def test_a_selection_through_a_cluster_is_that_of_the_device(client, cells, model, package):
    pytest.importorskip(package)
    found, expected = (smash(cells, X, model, device="cuda") for X in (uneven(cells, None), cells.X))
    assert_same_selection(found, expected, exact=model == "rf")


def test_workers_train_on_their_gpu(client):
    def name():
        import cupy

        return cupy.cuda.runtime.getDeviceProperties(0)["name"]

    assert client.submit(name).result() == name()


def test_bin_numbers_beyond_the_memory_of_the_device_give_the_same_trees(rng, monkeypatch):
    pytest.importorskip("xgboost")
    from smash_gpu.data import shuffle
    from smash_gpu.models import boosted

    group = np.repeat([0, 1, 2], 400)
    X = to_device(rng.gamma(1.0 + (np.arange(15) == group[:, None]), 1.0).astype(np.float32))
    monkeypatch.setattr(shuffle, "BYTES_PER_BLOCK", 4 * 15 * 250)  # several blocks
    grown = []
    for share in (0.5, 0.0):
        monkeypatch.setattr(boosted, "SHARE_FOR_BINS", share)
        booster = boosted.Boosted(device="cuda", n_estimators=5).fit(X, group, stratified(group)).booster
        grown.append(json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"])
        assert json.loads(booster.save_config())["learner"]["generic_param"]["device"].startswith("cuda")
    assert grown[0] == grown[1]
