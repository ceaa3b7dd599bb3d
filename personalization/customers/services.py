"""Writes about who is who: new ids, log-ins, and the versions that tell serving what changed.

Every change of a customer locks the row of the customer first, in the order of ids; the processor
does the same.
"""

from collections.abc import Collection
from datetime import datetime

import structlog
from django.db import connection, transaction

from personalization.access.audit import audit, state
from personalization.customers import merging, parking
from personalization.customers.engine import ids
from personalization.customers.models import Identity, Merge, RebuildDue
from personalization.customers.selectors import has_user

log = structlog.get_logger("customers")

# The customer's id is drawn first and its row written for the identities that won alone, so that
# two requests that see an id for the first time make one customer and no orphan (the foreign key is
# checked at commit). Sorted: two batches with the same new ids wait for each other instead of dying
# in a deadlock.
_CREATE = """
WITH wanted AS (
    SELECT DISTINCT kind, value
    FROM unnest(%(kinds)s::smallint[], %(values)s::text[]) AS w (kind, value)
), missing AS (
    SELECT kind, value FROM wanted w
    WHERE NOT EXISTS (
        SELECT FROM customers_identity i
        WHERE i.value = w.value AND i.kind = w.kind AND i.ended_at IS NULL)
    ORDER BY value, kind
), numbered AS (
    SELECT kind, value, nextval(pg_get_serial_sequence('customers_customer', 'id')) AS customer_id
    FROM missing
), made AS (
    INSERT INTO customers_identity (kind, value, generation, customer_id, origin_id, created_at)
    SELECT kind, value, 1, customer_id, customer_id, %(now)s FROM numbered ORDER BY value, kind
    ON CONFLICT DO NOTHING
    RETURNING customer_id, value
)
INSERT INTO customers_customer (id, uuid, assignment_key, created_at, version)
SELECT customer_id, gen_random_uuid(), value, %(now)s, 1 FROM made
"""

_TOUCH = """
WITH locked AS MATERIALIZED (
    SELECT id FROM customers_customer WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
), bumped AS (
    UPDATE customers_customer c SET version = version + 1 FROM locked WHERE c.id = locked.id
    RETURNING c.id, c.version
)
INSERT INTO customers_profile_dirty (customer_id, version, at)
SELECT id, version, %(now)s FROM bumped ORDER BY id
ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, at = excluded.at
"""

_REBUILD = """
INSERT INTO customers_rebuild_due (customer_id, cause, at)
SELECT id, %(cause)s, %(now)s FROM unnest(%(ids)s::bigint[]) AS t (id) ORDER BY id
ON CONFLICT (customer_id) DO UPDATE SET cause = excluded.cause, at = excluded.at
"""

# What the trail, which nobody can erase from, must not hold: it is a user's or a device's id.
_UNTOLD = frozenset({"target_assignment_key"})


def create_identities(keys: Collection[tuple[int, str]], *, now: datetime) -> int:
    """Make sure that each (kind, value) has an identity and a customer.

    Return how many customers were made.

    Idempotent and safe beside itself. Joins the caller's transaction.
    """
    if not keys:
        return 0
    kinds, values = zip(*keys, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_CREATE, {"kinds": list(kinds), "values": list(values), "now": now})
        return int(cursor.rowcount)


def touch(customer_ids: Collection[int], *, now: datetime, rebuild: str = "") -> None:
    """Raise the versions, so that documents are written again.

    With a `rebuild` cause, profiles are folded again.

    Locks the customers in the order of ids until the caller's transaction ends.
    """
    if not customer_ids:
        return
    ordered = sorted(set(customer_ids))
    with connection.cursor() as cursor:
        cursor.execute(_TOUCH, {"ids": ordered, "now": now})
        if rebuild:
            cursor.execute(_REBUILD, {"ids": ordered, "cause": rebuild, "now": now})


def retry_parked(customer_ids: Collection[int], *, actor: str, now: datetime) -> int:
    """Have those of the customers that are set aside tried again at once; return how many.

    One transaction, with a row of the trail for each. Idempotent.
    """
    with transaction.atomic():
        rows = RebuildDue.objects.filter(customer_id__in=customer_ids).exclude(error="")
        due = list(rows.order_by("pk").select_for_update())
        for row in due:
            audit(actor=actor, action="retry", obj=row, before=state(row))
        parking.retry(now=now, customer_ids=[row.pk for row in due])
    return len(due)


def log_in(*, user: str, device: str, now: datetime) -> bool:
    """Say that the proven user id `user` was seen on the anonymous id `device`.

    Return whether an owner changed.

    A device that is nobody's is absorbed with its past. One that belongs to another user goes over
    to this user from now on, as a new generation, and takes no past with it. Ids that stand for
    nobody change nothing. Idempotent. Both ids must have identities (`create_identities`).
    """
    if not ids.usable(user) or not ids.usable(device):
        return False
    with transaction.atomic():
        pair = _locked_pair(user, device)
        if pair is None:
            return False
        owner, held = pair
        if has_user(held.customer_id):
            return _take_over(held, owner.customer_id, now=now)
        if Merge.objects.filter(
            source_id=held.customer_id, target_id=owner.customer_id, undone_at__isnull=False
        ).exists():
            return False  # staff parted them: the next page view must not join them again
        if merging.would_overflow(held.customer_id, owner.customer_id):
            log.warning("customer.ids_full", customer=owner.customer_id)
            return False
        merging.absorb(
            held.customer_id, owner.customer_id, cause=Merge.Cause.LOGIN, actor="login", now=now
        )
        touch([held.customer_id, owner.customer_id], now=now, rebuild="merge")
        return True


def merge(source_id: int, target_id: int, *, cause: str, actor: str, now: datetime) -> Merge:
    """Make `source` part of `target`: its ids and their events count for the target from now on.

    One transaction; both profiles are folded again by the processor. The assignment key of the one
    seen earlier wins. Raises MergeConflict and MergeRefused.
    """
    with transaction.atomic():
        done = merging.merge(source_id, target_id, cause=cause, actor=actor, now=now)
        touch([source_id, target_id], now=now, rebuild="merge")
        if cause == Merge.Cause.STAFF:
            audit(actor=actor, action="merge", obj=done, after=state(done, without=_UNTOLD))
    return done


def unmerge(merge_id: int, *, actor: str, now: datetime) -> None:
    """Undo a merge: the ids that moved go back, both profiles are folded again.

    Assignment keys as they were.

    Log-ins will not join the two again. Raises MergeConflict when undone already or when a later
    merge stands on it.
    """
    with transaction.atomic():
        undone = merging.unmerge(merge_id, now=now)
        touch([undone.source_id, undone.target_id], now=now, rebuild="unmerge")
        audit(actor=actor, action="unmerge", obj=undone, before=state(undone, without=_UNTOLD))
    log.info("customer.unmerged", merge=merge_id, actor=actor)


def alias(*, previous: tuple[int, str], user: str, actor: str, now: datetime) -> bool:
    """Join the customer of `previous` (kind, value) to the one of `user`.

    Return whether anything changed.

    The one way besides staff to join two user ids. The caller has proven both.
    """
    if not ids.usable(user) or not ids.usable(previous[1]):
        return False
    create_identities([previous, (Identity.Kind.USER, user)], now=now)
    source = _customer_of(*previous)
    target = _customer_of(Identity.Kind.USER, user)
    if source == target:
        return False
    merge(source, target, cause=Merge.Cause.ALIAS, actor=actor, now=now)
    return True


def _customer_of(kind: int, value: str) -> int:
    return Identity.objects.values_list("customer_id", flat=True).get(
        kind=kind, value=value, ended_at=None
    )


def _locked_pair(user: str, device: str) -> tuple[Identity, Identity] | None:
    """Identities in force of user and device with their customers locked.

    None when they are one already.
    """
    for _ in range(3):
        owner, held = _current(user, device)
        if owner is None or held is None or owner.customer_id == held.customer_id:
            return None
        merging.lock([owner.customer_id, held.customer_id])
        again = _current(user, device)
        if [i and i.customer_id for i in again] == [owner.customer_id, held.customer_id]:
            return owner, held
    return None


def _current(user: str, device: str) -> tuple[Identity | None, Identity | None]:
    rows = {
        (row.kind, row.value): row
        for row in Identity.objects.filter(value__in=[user, device], ended_at=None)
    }
    return rows.get((Identity.Kind.USER, user)), rows.get((Identity.Kind.ANONYMOUS, device))


def _take_over(held: Identity, customer_id: int, *, now: datetime) -> bool:
    """End the device's identity in force and give the device to `customer_id`.

    A user who had the device before gets that row back: two people on one tablet make two rows, not
    one a log-in.
    """
    mine = (
        Identity.objects.filter(kind=held.kind, value=held.value, customer_id=customer_id)
        .order_by("-generation")
        .first()
    )
    if mine is None and merging.would_overflow(None, customer_id):
        log.warning("customer.ids_full", customer=customer_id)
        return False
    Identity.objects.filter(pk=held.pk).update(ended_at=now)
    if mine is None:
        Identity.objects.create(
            kind=held.kind,
            value=held.value,
            generation=_next_generation(held),
            customer_id=customer_id,
            origin_id=customer_id,
            created_at=now,
        )
    else:
        Identity.objects.filter(pk=mine.pk).update(ended_at=None)
    touch([held.customer_id, customer_id], now=now)
    return True


def _next_generation(held: Identity) -> int:
    last = (
        Identity.objects.filter(kind=held.kind, value=held.value)
        .order_by("-generation")
        .values_list("generation", flat=True)[0]
    )
    return last + 1
