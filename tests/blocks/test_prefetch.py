"""Blocks are read ahead, in order, a few at a time."""

from __future__ import annotations

import threading

import pytest

from smash_gpu.blocks.prefetch import BLOCKS_AHEAD, Ahead


def test_results_come_in_order_and_from_another_thread():
    threads = []

    def load(k):
        threads.append(threading.current_thread())
        return k * k

    with Ahead(load, range(20)) as read:
        assert [read(k) for k in range(20)] == [k * k for k in range(20)]
    assert threading.current_thread() not in threads


def test_no_more_than_a_few_are_held_at_a_time():
    loaded = []
    with Ahead(lambda k: loaded.append(k) or k, range(100)) as read:
        for k in range(50):
            read(k)
            assert len(loaded) <= k + 1 + BLOCKS_AHEAD
    assert len(loaded) < 60


def test_an_item_that_was_not_announced_is_loaded_on_the_spot_and_a_skipped_one_is_dropped():
    with Ahead(str, range(5)) as read:
        assert [read(0), read(77), read(2), read(3), read(4), read(1)] == list("0") + ["77"] + list("2341")


def test_an_error_comes_with_the_call_and_the_rest_goes_on():
    def load(k):
        if k == 1:
            raise MemoryError("of one block")
        return k

    with Ahead(load, range(4)) as read:
        assert read(0) == 0
        with pytest.raises(MemoryError, match="one block"):
            read(1)
        assert [read(2), read(3)] == [2, 3]
