"""A command looks for garbage seldom, and leaves the collector as it was."""

from __future__ import annotations

import gc

import pytest

from smash_gpu import cli
from smash_gpu.cli import check
from smash_gpu.cli.json_output import Result
from smash_gpu.runtime.garbage import COLLECT_AFTER, seldom_collected


@pytest.fixture
def usual():
    """Thresholds that are neither Python's nor ours, taken back at the end."""
    before = gc.get_threshold()
    gc.set_threshold(600, 9, 8)
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_a_command_runs_with_few_collections(usual, monkeypatch):
    seen = []
    monkeypatch.setattr(check, "run", lambda _: seen.append(gc.get_threshold()) or Result({}))
    assert cli.main(["check"]) == 0
    assert seen == [(COLLECT_AFTER, *usual[1:])]
    assert gc.get_threshold() == usual


@pytest.mark.parametrize("after", [0, 2 * COLLECT_AFTER])
def test_who_collects_less_still_does(usual, after):
    gc.set_threshold(after, *usual[1:])
    with seldom_collected():
        assert gc.get_threshold()[0] == after


def test_an_error_leaves_the_collector_as_it_was(usual):
    with pytest.raises(KeyError), seldom_collected():
        raise KeyError
    assert gc.get_threshold() == usual
