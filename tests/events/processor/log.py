"""Events put straight into the log, for tests of what reads it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from personalization.customers.models import Identity, Profile
from personalization.customers.services import create_identities
from personalization.events import epoch
from personalization.events.engine.shards import shard_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEVICE, USER = Identity.Kind.ANONYMOUS, Identity.Kind.USER

_INSERT = """
INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, type, name,
    occurred_at, received_at, purposes, flags, properties, traits, context)
VALUES (%s, 1, %s, (SELECT epoch FROM events_logepoch), %s, %s, 'track', %s, %s, %s, %s, %s, %s, %s,
%s)
"""


def put(  # noqa: PLR0913 -- a factory: every argument is one a test varies
    message_id: str,
    name: str = "Product Viewed",
    *,
    who: tuple[int, str] = (DEVICE, "a1"),
    minute: float = 0,
    purposes: int = 7,
    flags: int = 0,
    traits: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    cursor: Any = None,
    **properties: Any,
) -> None:
    """Write one event of `who`, `minute` minutes after NOW, by `cursor` or Django's connection."""
    create_identities([who], now=NOW)
    epoch.ensure()
    identity = Identity.objects.get(kind=who[0], value=who[1], ended_at=None)
    values: list[Any] = [
        date(2026, 3, 1),
        message_id,
        shard_of(*who),
        identity.pk,
        name,
        NOW + timedelta(minutes=minute),
        NOW,
        purposes,
        flags,
        orjson.dumps(properties).decode(),
        None if traits is None else orjson.dumps(traits).decode(),
        orjson.dumps(context or {}).decode(),
    ]
    if cursor is not None:
        cursor.execute(_INSERT, values)
        return
    with connection.cursor() as own:
        own.execute(_INSERT, values)


def profile_of(kind: int, value: str) -> Profile:
    """Return the profile of the customer that the id stands for."""
    return Profile.objects.get(
        customer__identities__value=value,
        customer__identities__kind=kind,
        customer__identities__ended_at=None,
    )
