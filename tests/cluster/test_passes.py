"""Passes over a Dask array on a cluster give what one machine gives."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cases.cluster import N_CELLS, PLACES, codes, in_h5ad
from scipy import sparse

from smash_gpu.blocks import dask as blocks_dask
from smash_gpu.blocks.fold import stream
from smash_gpu.blocks.readers import by_rows
from smash_gpu.data import stats
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.runtime import memory
from smash_gpu.runtime.cluster import SHARE_OF_WORKER, active_client

pytest.importorskip("distributed")


READ_BY_TASKS = {"h5ad", "zarr", "memory", "uneven", "dense in memory"}


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


@pytest.mark.slow
def test_a_task_reads_its_blocks_itself_unless_that_is_done_or_shared(place):
    name, X = place
    (source, *_) = blocks_dask._sources(by_rows(X), [[0], [1]])
    assert isinstance(source, blocks_dask._Reading) == (name in READ_BY_TASKS)


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
def test_codes_are_sent_with_a_byte_each_and_steps_once(client, cells, stored):
    import pickle

    X, group = in_h5ad(cells, stored), np.zeros(N_CELLS, dtype=np.int64)
    group[3] = 200
    ballast = np.zeros(10**6, dtype=np.uint8)
    found = blocks_dask.tasks(X, lambda _, __: ballast, [group], 100)
    (kind,) = {part._values.dtype for _, task in found for part in _parts(task)}
    assert kind == np.uint8
    assert sum(len(pickle.dumps(part)) for _, task in found for part in _parts(task)) < N_CELLS + 300 * len(found)
    keys = [key for _, task in found for key in task.dask if "_Shipped" in str(key)]
    assert len(found) > 5
    assert len(set(keys)) == 1


def _parts(task):
    (call,) = (value for key, value in dict(task.dask).items() if key == task.key)
    return [part for part in _flat(call.args) if isinstance(part, blocks_dask._Part)]


def _flat(values):
    for value in values:
        if isinstance(value, blocks_dask._Part):
            yield value
        elif hasattr(value, "args"):
            yield from _flat(value.args)
        elif isinstance(value, list | tuple):
            yield from _flat(value)
