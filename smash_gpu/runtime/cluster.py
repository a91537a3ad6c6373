"""The cluster that Dask computes on at present: its client, its workers' memory, and workers that are lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from smash_gpu.errors import warn
from smash_gpu.runtime import memory

SHARE_OF_WORKER = 0.6  # of a worker's memory limit; there Dask begins to spill
ATTEMPTS = 4
SECONDS_TO_NOTICE = 5.0
SECONDS_TO_RETURN = 20.0
SECONDS_TO_ANSWER = 600.0  # of a worker whose tasks may still wait for a lost one


def is_dask(X: Any) -> bool:
    """Whether ``X`` is a Dask array, without importing Dask."""
    return type(X).__module__.partition(".")[0] == "dask"


def active_client() -> Any:
    """The client of the cluster that Dask computes on at present; None where there is none."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    from dask import config

    if config.get("scheduler", "distributed") not in ("distributed", "dask.distributed"):
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


@contextmanager
def worker_memory() -> Iterator[None]:
    """Inside a task: the budget is this thread's part of what its worker may take; elsewhere as it was."""
    distributed = sys.modules.get("distributed")
    try:
        worker: Any = distributed.get_worker() if distributed else None
    except ValueError:
        worker = None
    most = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    if not most:
        yield
        return
    taken = memory.taken()
    room = max(int(most * SHARE_OF_WORKER) - taken, 0) // worker.state.nthreads
    with memory.limit(taken + max(room, 2 * memory.LEAST_ROOM)):
        yield


def despite_losses(attempt: Callable[[], Any], client: Any, purpose: str) -> Any:
    """``attempt()``, repeated if it fails and a worker of the cluster was lost meanwhile; at most `ATTEMPTS` times.

    For libraries whose own tasks do not survive that.

    Raises
    ------
    RuntimeError
        If workers are lost each time, or one stays blocked. An error of an attempt without a loss is raised as it is.
    """
    for left in reversed(range(ATTEMPTS)):
        before = _workers(client)
        try:
            return attempt()
        except Exception as error:
            lost = _lost(before, client)
            if not lost:
                raise
            if not left:
                raise RuntimeError(
                    f"lost workers of the cluster {ATTEMPTS} times while {purpose}, {lost} of {len(before)} the last "
                    "time. Give them more memory (see their logs), or use fewer cells: max_cells=."
                ) from error
            warn(f"lost {lost} of {len(before)} workers while {purpose}; retrying.")
            _wait_for(len(before), client)
            _wait_for_answers(client)
    raise AssertionError


def _workers(client: Any) -> set[str]:
    return set(client.nthreads())


def _lost(before: set[str], client: Any) -> int:
    """How many of the workers are gone; a moment may pass until the scheduler knows."""
    end = time.monotonic() + SECONDS_TO_NOTICE
    while not (lost := before - _workers(client)) and time.monotonic() < end:
        time.sleep(0.1)
    return len(lost)


def _wait_for(n_workers: int, client: Any) -> None:
    """Give nannies time to restart their workers: the first to come back would get the cells of all."""
    end = time.monotonic() + SECONDS_TO_RETURN
    while len(_workers(client)) < n_workers and time.monotonic() < end:
        time.sleep(0.1)


def _wait_for_answers(client: Any) -> None:
    """Until every worker has a free thread: some may wait for the lost one, until their library gives up."""
    answers = {worker: client.submit(int, workers=[worker], pure=False, priority=1) for worker in _workers(client)}
    end = time.monotonic() + SECONDS_TO_ANSWER
    while blocked := [w for w, answer in answers.items() if answer.status == "pending" and w in _workers(client)]:
        if time.monotonic() > end:
            raise RuntimeError(
                f"workers {blocked} did not answer for {SECONDS_TO_ANSWER:,.0f} s after another was lost. Restart them "
                f"and call again: client.restart_workers({blocked})."
            )
        time.sleep(0.1)
