"""One XGBoost training by several Dask workers, each with the cells that it holds, and its end when one of them dies.

``xgboost.dask.train`` does this too, but does not survive a worker that dies while the others wait to meet it: they
wait on with their threads blocked, or the tracker, which it runs in the scheduler's process, takes that process down
(XGBoost 3.2: "terminate called after throwing an instance of 'dmlc::Error'"). Here the tracker runs on a worker, losses
are watched for, and workers that stay blocked are restarted.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

from xgboost import DataIter

SECONDS_TO_MEET = 300  # for all workers to have found each other, and for one to wait for the sums of another
SECONDS_TO_STOP = 5.0  # for the others, after one was lost
SECONDS_BETWEEN_LOOKS = 0.5


class Parts(DataIter):
    """Bins, group and weight of some cells after the other."""

    def __init__(self, parts: list[tuple]) -> None:
        super().__init__()
        self._parts = parts
        self.reset()

    def next(self, input_data: Callable) -> bool:
        """Hand on the next part; False at the end."""
        if not self._left:
            return False
        bins, group, weight = self._left.pop()
        input_data(data=bins, label=group, weight=weight)
        return True

    def reset(self) -> None:
        """Start again."""
        self._left = self._parts[::-1]


def learn_together(parts: Mapping[str, list[tuple]], params: dict, n_rounds: int, client: Any) -> bytearray:
    """The booster, as saved, that the workers train on the parts that each of them holds (bins, group, weight).

    Raises
    ------
    ConnectionError
        If one of them is lost.
    """
    first = min(parts)
    meeting = client.run(_start_tracker, len(parts), _host(first), workers=[first])[first]
    training = {
        worker: client.submit(_learn, params, n_rounds, meeting, held, workers=[worker], pure=False)
        for worker, held in parts.items()
    }
    try:
        return next(filter(None, [_result(future, training, client) for future in training.values()]))
    except BaseException:
        _stop(training, client)
        raise


def _result(future: Any, training: Mapping[str, Any], client: Any) -> bytearray | None:
    from distributed import TimeoutError

    while True:
        if set(training) - set(client.nthreads()):
            raise ConnectionError("a worker was lost")
        if any(other.status == "error" for other in training.values()):
            client.gather([other for other in training.values() if other.status == "error"])  # raises it
        with suppress(TimeoutError):
            return future.result(timeout=SECONDS_BETWEEN_LOOKS)


def _learn(params: dict, n_rounds: int, meeting: dict, parts: list[tuple]) -> bytearray | None:
    from distributed import get_worker
    from xgboost import QuantileDMatrix, collective, train

    me = get_worker()
    with collective.CommunicatorContext(**meeting, dmlc_task_id=me.address, dmlc_timeout=SECONDS_TO_MEET):
        cells = QuantileDMatrix(Parts(parts), max_bin=params["max_bin"])
        booster = train({"nthread": me.state.nthreads} | params, cells, n_rounds)
        return booster.save_raw("json") if collective.get_rank() == 0 else None


def _start_tracker(n_workers: int, host: str) -> dict:
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(n_workers, host, sortby="task", timeout=SECONDS_TO_MEET)
    tracker.start()

    def wait() -> None:
        with suppress(XGBoostError):  # workers that did not come
            tracker.wait_for()

    Thread(target=wait, daemon=True).start()
    return tracker.worker_args()


def _host(address: str) -> str:
    from distributed.comm import get_address_host

    return get_address_host(address)


def _stop(training: Mapping[str, Any], client: Any) -> None:
    """Free the workers that are still there: their part ends by itself when they notice, else with their process."""
    end = time.monotonic() + SECONDS_TO_STOP
    while (blocked := _blocked(training, client)) and time.monotonic() < end:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    client.cancel(list(training.values()), force=True)
    if blocked:
        client.run(_end_process, workers=blocked, wait=False, on_error="ignore")


def _blocked(training: Mapping[str, Any], client: Any) -> list[str]:
    there = set(client.nthreads())
    return [worker for worker, future in training.items() if future.status == "pending" and worker in there]


def _end_process(dask_worker: Any) -> None:
    """A thread that waits inside XGBoost cannot be stopped otherwise; the nanny starts the worker anew."""
    if dask_worker.nanny:
        os.kill(os.getpid(), signal.SIGKILL)
