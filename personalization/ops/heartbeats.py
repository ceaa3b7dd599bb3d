"""Signs of life of long-lived processes: written by each, read by doctor and the index page."""

import os
import socket
from datetime import timedelta

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
    row = Heartbeat(name=f"{kind}@{socket.gethostname()}:{os.getpid()}"[:80], kind=kind, at=now)
    Heartbeat.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["name"], update_fields=["at", "kind"]
    )
    Heartbeat.objects.filter(at__lt=now - _FORGET_AFTER).delete()


def alive() -> dict[str, int]:
    """Return how many processes of each kind gave a sign of life lately."""
    since = clock.now() - timedelta(seconds=EVERY_S * _MISSED)
    found = dict.fromkeys(KINDS, 0)
    for kind in Heartbeat.objects.filter(at__gte=since).values_list("kind", flat=True):
        found[kind] = found.get(kind, 0) + 1
    return found
