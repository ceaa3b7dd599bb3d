"""Runs of jobs that a person starts by hand: taken over at once from a process that was killed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from django.db import connection

from personalization.lib.errors import AppError, Conflict
from personalization.ops import services
from personalization.ops.models import JobRun


@contextmanager
def claimed(*, kind: str, slot: str, params: Mapping[str, Any]) -> Iterator[JobRun | None]:
    """Hold the run of (kind, slot), with its checkpoint, while the block runs; None: it is done.

    The lock is the connection's own: it ends with the process, however that ends. Whoever gets it
    while the row still says "running" knows that nobody is, and need not wait for the silence that
    `services.resume` asks for. What the block raises ends the run as failed or cancelled.

    Raises
    ------
    Conflict
        Another process is at it.
    """
    lock = int.from_bytes(
        blake2b(f"{kind}/{slot}".encode(), digest_size=8).digest(), "big", signed=True
    )
    if not _ask("SELECT pg_try_advisory_lock(%s)", lock):
        msg = f"{kind} {slot} is running in another process"
        raise Conflict(msg)
    try:
        run = _run(kind, slot, params)
        try:
            yield run
        except BaseException as error:
            if run is not None:
                message = error.message if isinstance(error, AppError) else type(error).__name__
                services.fail(run.pk, error=message)
            raise
    finally:
        _ask("SELECT pg_advisory_unlock(%s)", lock)


def _run(kind: str, slot: str, params: Mapping[str, Any]) -> JobRun | None:
    old = JobRun.objects.filter(kind=kind, slot=slot).first()
    if old is not None and old.status == JobRun.Status.SUCCEEDED:
        return None
    if old is not None and old.status == JobRun.Status.RUNNING:
        services.fail(old.pk, error="the process ended without a word")
    if old is not None and old.status != JobRun.Status.PENDING:
        services.resume(old.pk, actor="system")
    return services.start_run(kind=kind, slot=slot, params=params)


def _ask(sql: str, lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [lock])
        return bool(cursor.fetchone()[0])
