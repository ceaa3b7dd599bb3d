"""Rows of access that are of no more use: answered writes, log-in links, sessions that ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.contrib.sessions.models import Session

from personalization.access import idempotency
from personalization.access.models import IdempotentWrite, OneTimeLogin

log = structlog.get_logger("access")

# The audit trail says for good who was let in; the link itself is looked for during an incident.
LINKS_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many rows of each kind went."""

    writes: int
    links: int
    sessions: int


def drop_stale(*, now: datetime) -> Dropped:
    """Delete answered writes a day old, links long expired, ended sessions. Idempotent."""
    writes, _ = IdempotentWrite.objects.filter(at__lt=now - idempotency.KEPT).delete()
    links, _ = OneTimeLogin.objects.filter(expires_at__lt=now - LINKS_KEPT).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=now).delete()
    dropped = Dropped(writes, links, sessions)
    log.info("access.stale_dropped", writes=writes, links=links, sessions=sessions)
    return dropped
