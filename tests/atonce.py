"""Work that several threads begin at the same moment."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")


def at_once(*works: Callable[[], T]) -> list[T]:
    """Return what each returned, in their order; what one raises is raised when all have ended.

    Each has a database connection of its own, so that the test must be a transactional one.
    """
    ready = threading.Barrier(len(works), timeout=10)

    def begun(work: Callable[[], T]) -> T:
        ready.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        begun_ones = [pool.submit(begun, work) for work in works]
    return [one.result() for one in begun_ones]


@contextmanager
def giving_way() -> Iterator[None]:
    """Threads give way to each other wherever an object is made that the collector watches.

    The interpreter may do so, but seldom: what relies on walking a dict in one step fails here.
    """

    def give_way(_phase: str, _info: dict[str, Any]) -> None:
        time.sleep(1e-6)

    before = gc.get_threshold(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.callbacks.append(give_way)
    gc.set_threshold(1, 1_000_000, 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*before[0])
        sys.setswitchinterval(before[1])
        gc.callbacks.remove(give_way)
