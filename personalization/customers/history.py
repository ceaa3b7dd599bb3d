"""People as other systems know them: ids that belong together from the start, made in bulk."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction

from personalization.customers.engine.ids import MAX_IDENTITIES
from personalization.customers.models import Customer, Identity
from personalization.customers.services import touch

_Kind = Identity.Kind
# Rows an INSERT; more gains nothing.
_BATCH = 2_000
_OWNERS = """
SELECT customer_id FROM customers_identity
WHERE kind = 1 AND value = ANY(%(users)s::varchar[]) AND ended_at IS NULL
"""
# Devices that nobody has seen yet, for users whose customers are locked and have room for more.
_ADOPT = """
INSERT INTO customers_identity (kind, value, generation, customer_id, origin_id, created_at)
SELECT 2, device, 1, customer_id, customer_id, %(now)s FROM (
    SELECT w.device, u.customer_id,
        row_number() OVER (PARTITION BY u.customer_id ORDER BY w.device)
            + (SELECT count(*) FROM customers_identity h WHERE h.customer_id = u.customer_id)
            AS held
    FROM unnest(%(users)s::varchar[], %(devices)s::varchar[]) AS w (value, device)
    JOIN customers_identity u ON u.value = w.value AND u.kind = 1 AND u.ended_at IS NULL
    WHERE u.customer_id = ANY(%(owners)s) AND NOT EXISTS (
        SELECT FROM customers_identity d WHERE d.value = w.device AND d.kind = 2)
) AS new WHERE held <= %(most)s
ORDER BY device ON CONFLICT DO NOTHING
"""


def create_people(people: Iterable[tuple[str, Sequence[str]]], *, now: datetime) -> int:
    """Make one customer for each (user id, anonymous ids) of whom no id is known; return how many.

    For imports and the demo, where a log-in per pair would be a merge per pair. Whoever is known by
    any of the ids is left to ingestion, which logs in one by one. Idempotent, one transaction.
    """
    wanted = list(people)
    values = {user for user, _ in wanted} | {device for _, devices in wanted for device in devices}
    with transaction.atomic():
        known = set(
            Identity.objects.filter(value__in=values, ended_at=None).values_list("kind", "value")
        )
        new = [
            (user, devices)
            for user, devices in wanted
            if (_Kind.USER, user) not in known
            and not any((_Kind.ANONYMOUS, device) in known for device in devices)
        ]
        customers = Customer.objects.bulk_create(
            [Customer(assignment_key=user, created_at=now) for user, _ in new], batch_size=_BATCH
        )
        identities = [
            Identity(kind=kind, value=value, customer=customer, origin=customer, created_at=now)
            for (user, devices), customer in zip(new, customers, strict=True)
            for kind, value in [(_Kind.USER, user), *((_Kind.ANONYMOUS, d) for d in devices)]
        ]
        Identity.objects.bulk_create(identities, batch_size=_BATCH)
    return len(new)


def adopt_new_devices(pairs: Collection[tuple[str, str]], *, now: datetime) -> int:
    """Give devices that nobody has seen yet to the users they come with; return how many.

    For bulk loads: what `log_in` does for a device without a past, in one statement for all. A
    device without a past brings nothing to merge. Pairs that need more than that (a device that
    somebody has, or that comes with two users; a user with too many ids) are left to `log_in`.
    The users must have identities. Joins the caller's transaction.
    """
    users_of: dict[str, set[str]] = {}
    for user, device in pairs:
        users_of.setdefault(device, set()).add(user)
    single = sorted((device, *users) for device, users in users_of.items() if len(users) == 1)
    if not single:
        return 0
    devices, users = zip(*single, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, {"users": list(users)})
        owners = sorted({row[0] for row in cursor.fetchall()})
        touch(owners, now=now)
        cursor.execute(
            _ADOPT,
            {
                "users": list(users),
                "devices": list(devices),
                "owners": owners,
                "most": MAX_IDENTITIES,
                "now": now,
            },
        )
        return int(cursor.rowcount)
