"""Reading ahead: while one block is computed on, threads load the next ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

BLOCKS_AHEAD = 2


class Ahead(AbstractContextManager):
    """``load``, with the results for ``items`` made ahead of the call, in that order, at most `BLOCKS_AHEAD` at a time.

    Called with any other item it loads that in the calling thread. An error of ``load`` comes with the call.
    """

    def __init__(self, load: Callable[[Any], Any], items: Iterable) -> None:
        self._load = load
        self._waiting = iter(items)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reading-ahead")
        self._loading: deque[tuple[Any, Future]] = deque()
        self._fill()

    def __call__(self, item: Any) -> Any:
        """The result for ``item``; what was made ahead of it in vain is dropped."""
        if all(item != ready for ready, _ in self._loading):
            return self._load(item)
        while True:
            ready, future = self._loading.popleft()
            if ready == item:
                break
        try:
            return future.result()
        finally:
            self._fill()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _fill(self) -> None:
        while len(self._loading) < BLOCKS_AHEAD:
            item = next(self._waiting, None)
            if item is None:
                return
            self._loading.append((item, self._pool.submit(self._load, item)))
