"""Runs taken over at once from a process that was killed: its lock has ended with it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from django.db import connection

from personalization.lib.errors import AppError, Conflict
from personalization.ops import services
from personalization.ops.models import JobRun

# A connection gets its own lock a second time; whoever asks inside of a block must not.
_held = threading.local()


@contextmanager
def alone(*, kind: str, slot: str) -> Iterator[bool]:
    """Tell whether nobody else works on (kind, slot), and let nobody else be told so in the block.

    The lock is the connection's own: it ends with the process, however that ends. Where it is
    somebody's, a run that says "running" may be that of a machine which has gone without a word:
    the silence that `services.start_run` asks for is the judge then.
    """
    names: set[str] = _held.__dict__.setdefault("names", set())
    name = f"{kind}/{slot}"
    lock = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    if name in names or not _ask("SELECT pg_try_advisory_lock(%s)", lock):
        yield False
        return
    names.add(name)
    try:
        yield True
    finally:
        names.discard(name)
        _ask("SELECT pg_advisory_unlock(%s)", lock)


@contextmanager
def claimed(*, kind: str, slot: str, params: Mapping[str, Any]) -> Iterator[JobRun | None]:
    """Hold the run of (kind, slot), with its checkpoint, while the block runs; None: it is done.

    Whoever is `alone` while the row still says "running" knows that nobody is, and need not wait
    for the silence that `services.resume` asks for. What the block raises ends the run as failed
    or cancelled.

    Raises
    ------
    Conflict
        Another process is at it.
    """
    with alone(kind=kind, slot=slot) as mine:
        if not mine:
            msg = f"{kind} {slot} is running in another process"
            raise Conflict(msg)
        run = _run(kind, slot, params)
        try:
            yield run
        except BaseException as error:
            if run is not None:
                message = error.message if isinstance(error, AppError) else type(error).__name__
                services.fail(run.pk, error=message)
            raise


def _run(kind: str, slot: str, params: Mapping[str, Any]) -> JobRun | None:
    old = JobRun.objects.filter(kind=kind, slot=slot).first()
    if old is not None and old.status == JobRun.Status.SUCCEEDED:
        return None
    services.bury(kind=kind, slot=slot)
    if old is not None and old.status != JobRun.Status.PENDING:
        services.resume(old.pk, actor="system")
    return services.start_run(kind=kind, slot=slot, params=params)


def _ask(sql: str, lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [lock])
        return bool(cursor.fetchone()[0])
