"""Work that several threads begin at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
