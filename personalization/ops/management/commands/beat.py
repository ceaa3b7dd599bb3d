"""`manage.py beat`: the one Celery beat of a deployment, wherever it was started."""

import os
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from personalization.celery import app
from personalization.lib import background

# Any fixed number; the session that holds it is beat. PostgreSQL drops it with the connection.
LOCK = 7_313_002
_ASK_EVERY_S = 2.0


class Command(BaseCommand):
    """Several may run: one holds the lock and sends, the others stand by."""

    help = "Send scheduled tasks. Start as many as you like: one at a time does the work."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Wait for the lock, then send tasks until it is lost or the process is stopped."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))
        background.start("beat")
        locked = threading.Event()
        threading.Thread(target=_hold_lock, args=(locked,), name="beat-lock", daemon=True).start()
        locked.wait()
        # In memory: a schedule file is spoilt by a kill, and every task knows by its slot what ran.
        app.Beat(scheduler_cls="celery.beat:Scheduler", loglevel="WARNING", quiet=True).run()


def _hold_lock(locked: threading.Event) -> None:
    """Take the lock and keep looking at it; once lost, end the process: another may hold it."""
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
                row = cursor.fetchone()
                if row and row[0]:
                    locked.set()
                while locked.is_set():
                    time.sleep(_ASK_EVERY_S)
                    cursor.execute("SELECT 1")
        except DatabaseError:
            if locked.is_set():
                os._exit(1)
            connection.close()
        time.sleep(_ASK_EVERY_S)
