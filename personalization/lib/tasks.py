"""The one way to wake Celery: by name, after commit. A lost wake-up delays work, never loses it."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger("lib")


def enqueue(name: str, *args: str | int) -> None:
    """Send task `name` (dotted path of a function in a `tasks` module) after the commit.

    Arguments are ids and ISO strings. A broker that is away is logged: rows are the truth, and beat
    sweeps them.
    """

    def send() -> None:
        try:
            current_app.send_task(name, args=args, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("task.enqueue_failed", task=name, error=type(error).__name__)

    transaction.on_commit(send)
