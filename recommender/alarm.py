"""A block that is stopped when its time is over: for work of one process, in its main thread."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from recommender.engine.budget import OutOfTimeError

# It rings again: what is raised in a destructor is swallowed.
_AGAIN_S = 1.0
_ends: list[float] = []


@contextmanager
def stopping(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError within the block when so many seconds by the wall are over.

    Blocks may lie in one another; the earliest end counts. A call of C code ends first.
    """
    if seconds <= 0:
        raise OutOfTimeError
    depth = len(_ends)
    before = signal.signal(signal.SIGALRM, _ring)
    _ends.append(time.monotonic() + seconds)
    try:
        _arm()
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        del _ends[depth:]
        signal.signal(signal.SIGALRM, before)
        _arm()


def _arm() -> None:
    if _ends:
        left_s = min(_ends) - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(left_s, 1e-3), _AGAIN_S)


def _ring(_signal: int, _frame: object) -> None:
    if _ends and min(_ends) <= time.monotonic():
        raise OutOfTimeError
