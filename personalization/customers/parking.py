"""Customers set aside: their events cannot be folded, everybody else's go on.

One is set aside with a reason (its row of `RebuildDue` has an error), folded by nobody meanwhile,
and tried again from its whole log: ever more rarely, and when a processor starts, since that may be
a new release. Its last profile stays in use; nothing is lost. Whoever folds holds the lock on the
customer, so that nobody is set aside or taken back under a fold.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

# One minute, then four times as long each time, up to six hours.
_PARK = """
INSERT INTO customers_rebuild_due AS d (customer_id, cause, at, error, attempts)
SELECT id, 'parked', %(now)s + INTERVAL '1 minute', error, 1
FROM unnest(%(ids)s::bigint[], %(errors)s::text[]) AS t (id, error) ORDER BY id
ON CONFLICT (customer_id) DO UPDATE SET error = excluded.error, attempts = d.attempts + 1,
    at = %(now)s + LEAST(INTERVAL '1 minute' * 4 ^ LEAST(d.attempts, 8), INTERVAL '6 hours')
"""
_AMONG = """
SELECT customer_id FROM customers_rebuild_due WHERE customer_id = ANY(%s) AND error <> ''
"""
_RETRY = "UPDATE customers_rebuild_due SET at = %s WHERE error <> ''"
_MOST = 200


def park(errors: Mapping[int, str], *, now: datetime) -> None:
    """Set the customers aside, each for its reason. Joins the caller's transaction."""
    if not errors:
        return
    reasons = [error[:_MOST] or "failed" for error in errors.values()]
    with connection.cursor() as cursor:
        cursor.execute(_PARK, {"ids": list(errors), "errors": reasons, "now": now})


def among(customer_ids: Collection[int]) -> set[int]:
    """Return who of the customers, locked by the caller, is set aside."""
    with connection.cursor() as cursor:
        cursor.execute(_AMONG, [list(customer_ids)])
        return {row[0] for row in cursor.fetchall()}


def retry(*, now: datetime, customer_ids: Collection[int] | None = None) -> int:
    """Have those set aside (None: all of them) tried again at once; return how many."""
    some = "" if customer_ids is None else " AND customer_id = ANY(%s)"
    values: list[Any] = [now] if customer_ids is None else [now, list(customer_ids)]
    with connection.cursor() as cursor:
        cursor.execute(_RETRY + some, values)
        return int(cursor.rowcount)
