"""Blocks are read ahead, in order, a few at a time."""

from __future__ import annotations

import gc
import threading
import weakref
from time import sleep

import numpy as np
import pytest

from smash_gpu.blocks.prefetch import BLOCKS_AHEAD, prefetched


def test_results_come_in_order_and_from_another_thread():
    threads = []

    def load(k):
        threads.append(threading.current_thread())
        return k * k

    assert list(prefetched(load, range(20))) == [k * k for k in range(20)]
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("n", [0, 1, BLOCKS_AHEAD, BLOCKS_AHEAD + 1])
def test_any_number_of_items(n):
    assert list(prefetched(str, iter(range(n)))) == [str(k) for k in range(n)]


def test_no_more_than_a_few_are_held_at_a_time():
    loaded = []
    results = prefetched(lambda k: loaded.append(k) or k, range(100))
    for k in range(50):
        next(results)
        assert len(loaded) <= k + 1 + BLOCKS_AHEAD
    results.close()
    assert len(loaded) < 60


def test_the_next_items_are_loaded_while_one_is_used():
    loaded = []
    results = prefetched(lambda k: loaded.append(k) or k, range(10))
    assert next(results) == 0
    for _ in range(500):
        if len(loaded) == 1 + BLOCKS_AHEAD:
            break
        sleep(0.01)
    assert loaded == list(range(1 + BLOCKS_AHEAD))


def test_what_was_handed_on_is_held_no_longer():
    results = prefetched(np.ones, range(1, 5))
    first = next(results)
    seen = weakref.ref(first)
    del first
    gc.collect()
    assert seen() is None


def test_an_error_comes_where_its_result_would_and_ends_the_loading():
    loaded = []

    def load(k):
        loaded.append(k)
        if k == 1:
            raise OSError("of one block")
        return k

    results = prefetched(load, range(100))
    assert next(results) == 0
    with pytest.raises(OSError, match="one block"):
        next(results)
    assert list(results) == []
    assert len(loaded) <= 2 + BLOCKS_AHEAD
