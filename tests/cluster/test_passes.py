"""Passes over a Dask array on a cluster give what one machine gives."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cases.cluster import N_CELLS, PLACES, codes, in_h5ad, uneven
from scipy import sparse

from smash_gpu.blocks import dask as blocks_dask
from smash_gpu.blocks.fold import stream
from smash_gpu.blocks.readers import by_rows
from smash_gpu.data import stats
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.runtime import memory
from smash_gpu.runtime.cluster import SHARE_OF_WORKER, active_client

pytest.importorskip("distributed")


@pytest.fixture(params=PLACES)
def place(request, client, cells, stored):
    return request.param, PLACES[request.param](cells, stored)


def equal(found, expected):
    for name, values in vars(expected).items():
        compare = np.testing.assert_array_equal if values.dtype.kind == "i" else np.testing.assert_allclose
        compare(getattr(found, name), values, **({} if values.dtype.kind == "i" else {"rtol": 1e-11}))


@pytest.mark.slow
def test_statistics_and_moments_are_those_of_one_machine(place, cells):
    X, group = by_rows(place[1]), codes(cells)
    equal(stats.group_stats(X, group, 3), stats.group_stats(cells.X, group, 3))
    genes = np.array([5, 60, 2])
    equal(stats.moments(X, group, genes), stats.moments(cells.X, group, genes))


def test_a_task_holds_one_chunk_or_few_cells(cells):
    found = blocks_dask.tasks(uneven(cells, None), len, [], 280)
    assert [(part.start, part.stop) for part, _ in found] == [(0, 271), (271, 671), (671, 900)]


@pytest.mark.slow
def test_streams_keep_the_order_and_only_what_a_step_returns_leaves_the_workers(place, cells):
    X, group = by_rows(place[1]), codes(cells)
    here = os.getpid()

    def step(block, group):
        assert os.getpid() != here
        return block[:, [3, 1]].toarray()[group >= 0]

    found = np.vstack(list(stream(X, group, step=step)))
    np.testing.assert_array_equal(found, cells.X[:, [3, 1]].toarray()[group >= 0])
    blocks, parts = zip(*stream(X, np.arange(N_CELLS)), strict=True)
    numbers = list(stream(X, step=lambda block: np.zeros(block.shape[0])))
    assert np.concatenate(numbers).shape == (N_CELLS,)
    assert (sparse.vstack(blocks) != cells.X).nnz == 0
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(N_CELLS))


@pytest.mark.slow
def test_fingerprint_is_that_of_the_cells(client, cells, stored):
    names, labels = cells.var_names, cells.obs["cell_type"]
    assert fingerprint(in_h5ad(cells, stored), names, labels) == fingerprint(cells.X, names, labels)


@pytest.mark.slow
def test_without_a_client_dasks_own_threads_do_it(client, cells, stored):
    import dask

    X, group = in_h5ad(cells, stored), codes(cells)
    assert active_client() is client
    with dask.config.set(scheduler="threads"):
        assert active_client() is None
        equal(stats.group_stats(X, group, 3), stats.group_stats(cells.X, group, 3))
        (pid,) = {int(part[0]) for part in stream(X, step=lambda _: np.array([os.getpid()]))}
    assert pid == os.getpid()


@pytest.mark.slow
def test_a_worker_keeps_to_its_own_memory(client, cells, stored):
    """The room inside a task is below the worker's limit, not that of the machine."""
    rooms = list(stream(in_h5ad(cells, stored), step=lambda _: np.array([float(memory.room())])))
    assert max(room.item() for room in rooms) < 1e9 * SHARE_OF_WORKER < memory.available()


@pytest.mark.slow
def test_codes_are_sent_with_a_byte_each_and_steps_once(client):
    from distributed.protocol.pickle import dumps

    X, group = pytest.importorskip("dask.array").zeros((200_000, 1), chunks=(20_000, 1)), np.arange(200_000) % 200
    ballast = np.random.default_rng(0).bytes(10**6)
    found = blocks_dask.tasks(X, lambda _, group: (ballast, group.dtype), [group], 20_000)
    assert len(found) == 10
    assert len(dumps({key: part for _, task in found for key, part in dict(task.dask).items()})) < 10**6 + 250_000
    assert found[3][1].compute() == (ballast, np.int64)
