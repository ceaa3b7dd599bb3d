"""Signs of life of long-lived processes: written by each, read by doctor and the index page."""

import os
import socket
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet

from personalization.lib import background, clock
from personalization.ops.models import Heartbeat

KINDS = ("web", "processor", "worker", "beat")
EVERY_S = 5.0
# A process that missed this many beats is taken for dead.
_MISSED = 3
_FORGET_AFTER = timedelta(hours=1)


def beat() -> None:
    """Write this process's row, and forget processes that are long gone."""
    now = clock.now()
    kind = background.kind()
    name = f"{kind}@{socket.gethostname()}:{os.getpid()}"[:80]
    row = Heartbeat(name=name, kind=kind, at=now, facts=background.facts())
    Heartbeat.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["name"], update_fields=["at", "kind", "facts"]
    )
    Heartbeat.objects.filter(at__lt=now - _FORGET_AFTER).delete()


def alive() -> dict[str, int]:
    """Return how many processes of each kind gave a sign of life lately."""
    found = dict.fromkeys(KINDS, 0)
    for kind in _lately().values_list("kind", flat=True):
        found[kind] = found.get(kind, 0) + 1
    return found


def queues_without_worker() -> list[str]:
    """Return the names of Celery's queues that no worker takes tasks from."""
    told = _lately().filter(kind="worker").values_list("facts__queues", flat=True)
    taken = {name for queues in told for name in queues or ()}
    return [queue.name for queue in settings.CELERY_TASK_QUEUES if queue.name not in taken]


def _lately() -> QuerySet[Heartbeat]:
    return Heartbeat.objects.filter(at__gte=clock.now() - timedelta(seconds=EVERY_S * _MISSED))
