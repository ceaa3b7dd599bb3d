"""The pulse of a run whose work cannot say that it lives: one long statement, one long fit."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import Error, connection

from personalization.ops import errors, services

log = structlog.get_logger("ops")

# Far below services.STALE_AFTER: a few lost beats are no silence.
EVERY_S = 30.0


@contextmanager
def beating(run_id: int, *, every_s: float = EVERY_S) -> Iterator[Callable[[], None]]:
    """Have a thread say that the run lives while the block runs; yield a check for cancellation.

    The check asks no database, so that it may be called while a connection is busy. It raises
    Cancelled once the run was asked to stop, or is not running any more.
    """
    over, stopped = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=_beat, args=(run_id, every_s, over, stopped), name=f"pulse-{run_id}", daemon=True
    )

    def check() -> None:
        if stopped.is_set():
            msg = f"run {run_id} was asked to stop"
            raise errors.Cancelled(msg)

    thread.start()
    try:
        yield check
    finally:
        over.set()
        thread.join()


def _beat(run_id: int, every_s: float, over: threading.Event, stopped: threading.Event) -> None:
    try:
        while not over.wait(every_s):
            try:
                services.advance(run_id)
            except errors.Cancelled:
                stopped.set()
                return
            except Error as error:
                # PostgreSQL is away for a moment; the work itself will hear of it
                log.warning("job.pulse_lost", run=run_id, error=type(error).__name__)
                connection.close()
    finally:
        connection.close()
