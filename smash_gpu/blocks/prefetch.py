"""Reading ahead: while one block is computed on, a thread loads the next ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

BLOCKS_AHEAD = 2


def prefetched(load: Callable[[Any], Any], items: Iterable) -> Generator[Any, None, None]:
    """``load(item)`` for each of ``items`` in order; `BLOCKS_AHEAD` at most are loaded before they are asked for."""
    items, pool = iter(items), ThreadPoolExecutor(1, thread_name_prefix="reading-ahead")
    try:
        loading = deque(pool.submit(load, item) for item in islice(items, BLOCKS_AHEAD))
        while loading:
            loading[0].exception()  # waits for it, so that the next one begins while this one is computed on
            loading.extend(pool.submit(load, item) for item in islice(items, 1))
            yield loading.popleft().result()  # nothing here refers to it any more
    finally:
        pool.shutdown(cancel_futures=True)
