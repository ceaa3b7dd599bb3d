"""Moving identities between customers and back.

`services` opens the transaction, raises versions and knows callers.

No event row is rewritten: events point at identities, identities at customers, and profiles are
folded again.
"""

from collections.abc import Collection
from datetime import datetime

import structlog
from django.db import connection

from personalization.customers.engine.ids import MAX_IDENTITIES
from personalization.customers.errors import CustomerNotFound, MergeConflict, MergeRefused
from personalization.customers.models import Customer, Identity, Merge
from personalization.lib.registries import merge_hooks

log = structlog.get_logger("customers")

# Earliest customer among those whose identities the customer now holds, and the value that first
# stood for it.
_ASSIGNMENT = """
UPDATE customers_customer SET assignment_key = (
    SELECT first.value
    FROM customers_identity first
    JOIN customers_customer origin ON origin.id = first.origin_id
    WHERE first.origin_id IN (
        SELECT origin_id FROM customers_identity WHERE customer_id = %(id)s UNION SELECT %(id)s)
    ORDER BY origin.created_at, origin.id, first.id
    LIMIT 1)
WHERE id = %(id)s
"""


def lock(customer_ids: Collection[int]) -> dict[int, Customer]:
    """Lock the customers in the order of ids and return them as they are now."""
    rows = (
        Customer.objects.filter(pk__in=customer_ids).order_by("pk").select_for_update(no_key=True)
    )
    return {row.pk: row for row in rows}


def would_overflow(source_id: int | None, customer_id: int) -> bool:
    """Whether the customer would have too many identities with those of `source_id` (None.

    With one more).
    """
    held = Identity.objects.filter(customer_id=customer_id).count()
    more = 1 if source_id is None else Identity.objects.filter(customer_id=source_id).count()
    return held + more > MAX_IDENTITIES


def merge(source_id: int, target_id: int, *, cause: str, actor: str, now: datetime) -> Merge:
    """Check both customers and let the target absorb the source."""
    if source_id == target_id:
        raise MergeConflict("a customer cannot be merged with itself")
    rows = lock([source_id, target_id])
    for wanted in (source_id, target_id):
        if wanted not in rows:
            raise CustomerNotFound(f"there is no customer {wanted}")
        if rows[wanted].merged_into_id is not None:
            raise MergeConflict(
                f"customer {wanted} is part of {rows[wanted].merged_into_id}; merge that one"
            )
    if would_overflow(source_id, target_id):
        raise MergeRefused(f"together they would have more than {MAX_IDENTITIES} ids")
    return absorb(source_id, target_id, cause=cause, actor=actor, now=now)


def absorb(source_id: int, target_id: int, *, cause: str, actor: str, now: datetime) -> Merge:
    """Move every identity of the source to the target. Both rows are locked by the caller."""
    before = Customer.objects.values_list("assignment_key", flat=True).get(pk=target_id)
    moved = list(
        Identity.objects.filter(customer_id=source_id).order_by("pk").values_list("pk", flat=True)
    )
    Identity.objects.filter(pk__in=moved).update(customer_id=target_id)
    Customer.objects.filter(pk=source_id).update(merged_into_id=target_id)
    done = Merge.objects.create(
        source_id=source_id,
        target_id=target_id,
        cause=cause,
        actor=actor,
        identities=moved,
        target_assignment_key=before,
        at=now,
    )
    _settle(source_id, target_id)
    log.info("customer.merged", source=source_id, target=target_id, cause=str(cause))
    return done


def unmerge(merge_id: int, *, now: datetime) -> Merge:
    """Give the identities that moved back to the source, as far as the target still holds them."""
    done = Merge.objects.filter(pk=merge_id).first()
    if done is None:
        raise CustomerNotFound(f"there is no merge {merge_id}")
    rows = lock([done.source_id, done.target_id])
    if not Merge.objects.filter(pk=merge_id, undone_at=None).update(undone_at=now):
        raise MergeConflict("this merge is undone already")
    later = rows[done.target_id].merged_into_id
    if later is not None:
        raise MergeConflict(
            f"customer {done.target_id} was merged into {later} since; undo that first"
        )
    Identity.objects.filter(pk__in=done.identities, customer_id=done.target_id).update(
        customer_id=done.source_id
    )
    Customer.objects.filter(pk=done.source_id).update(merged_into_id=None)
    _settle(done.source_id, done.target_id)
    return done


def _settle(source_id: int, target_id: int) -> None:
    with connection.cursor() as cursor:
        for customer_id in (source_id, target_id):
            cursor.execute(_ASSIGNMENT, {"id": customer_id})
    for _name, hook in merge_hooks.items():  # noqa: PERF102 -- a Registry, not a dict
        hook(source_id, target_id)
