"""Profiles by the thousand: lock, read, write in a few statements, without a model instance.

The processor's own door: it folds, this reads and writes. Always inside the caller's transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from personalization.customers.engine import profile
from personalization.customers.engine.profile import State

TABLE = "customers_profile"
# A generation that a replay builds beside the one in use.
NEXT_TABLE = "customers_profile_next"

# What a batch carries, as JSON: times are whole microseconds (printing dates costs more than
# folding).
_BATCH: Mapping[str, str] = {
    "customer_id": "bigint",
    "first_seen_us": "bigint",
    "last_seen_us": "bigint",
    "events": "bigint",
    "sessions": "int",
    "orders": "int",
    "revenue_minor": "bigint",
    "last_order_us": "bigint",
    "country": "text",
    "region": "text",
    "locale": "text",
    "timezone": "text",
    "device_type": "text",
    "traits": "jsonb",
    "state": "json",
    "rebuilt": "boolean",
}
_MICROSECOND = "INTERVAL '1 microsecond'"
# Column -> its value in terms of the batch.
_VALUES: Mapping[str, str] = {
    "first_seen_at": f"TIMESTAMPTZ 'epoch' + b.first_seen_us * {_MICROSECOND}",
    "last_seen_at": f"TIMESTAMPTZ 'epoch' + b.last_seen_us * {_MICROSECOND}",
    "events": "b.events",
    "sessions": "b.sessions",
    "orders": "b.orders",
    "revenue_minor": "b.revenue_minor",
    "last_order_at": f"TIMESTAMPTZ 'epoch' + b.last_order_us * {_MICROSECOND}",
    "country": "COALESCE(b.country, '')",
    "region": "COALESCE(b.region, '')",
    "locale": "COALESCE(b.locale, '')",
    "timezone": "COALESCE(b.timezone, '')",
    "device_type": "COALESCE(b.device_type, '')",
    "traits": "b.traits",
    "state": "b.state::text",
    "updated_at": "%(now)s",
}
# Locks before it raises, in the order of ids: an UPDATE alone would lock in the order of its plan.
_LOCK = """
WITH locked AS MATERIALIZED (
    SELECT id FROM customers_customer WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
), bumped AS (
    UPDATE customers_customer c SET version = version + 1 FROM locked WHERE c.id = locked.id
    RETURNING c.id, c.version
), dirtied AS (
    INSERT INTO customers_profile_dirty (customer_id, version, at)
    SELECT id, version, %(now)s FROM bumped ORDER BY id
    ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, at = excluded.at
)
SELECT id, version FROM bumped
"""
# A batch travels as one JSON text that PostgreSQL unpacks, as in the log.
_ROWS = f"""
json_to_recordset(%(rows)s::json) AS b ({", ".join(f"{n} {t}" for n, t in _BATCH.items())})
"""
_REBUILT_AT = "rebuilt_at = CASE WHEN b.rebuilt THEN %(now)s ELSE p.rebuilt_at END"
_WIDTHS = {"country": 2, "region": 8, "locale": 20, "timezone": 64, "device_type": 10}


@dataclass(frozen=True, slots=True)
class Folded:
    """A state to write, and whether it was folded from the whole log."""

    customer_id: int
    state: State
    rebuilt: bool = False


def lock(customer_ids: Collection[int], *, now: datetime) -> dict[int, int]:
    """Lock the customers in the order of ids, raise their versions and mark their documents.

    Return the new version of each who exists. Whoever was read at the version before has not
    changed since: every change of identities, consent or profile raises it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"ids": sorted(customer_ids), "now": now})
        return dict(cursor.fetchall())


def states(customer_ids: Collection[int]) -> dict[int, State]:
    """Return the state of each customer that has a profile."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, state FROM customers_profile WHERE customer_id = ANY(%s)",
            [list(customer_ids)],
        )
        return {customer_id: orjson.loads(state) for customer_id, state in cursor.fetchall()}


def write(
    rows: Iterable[Folded], *, known: Collection[int] | None, now: datetime, table: str = TABLE
) -> None:
    """Write the states and the columns told by them.

    `known` are the customers that have a row (None: whoever has one).
    """
    batch = list(rows)
    if known is None:
        _send(_insert(table) + _on_conflict(), batch, now)
        return
    _send(_update(table), [row for row in batch if row.customer_id in known], now)
    _send(_insert(table), [row for row in batch if row.customer_id not in known], now)


def _send(statement: str, rows: Sequence[Folded], now: datetime) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        text = orjson.dumps([_record(row) for row in rows]).decode()
        cursor.execute(statement, {"now": now, "rows": text})


def _update(table: str) -> str:
    """UPDATE from a batch; names of our own, no input."""
    assignments = ", ".join(f"{name} = {value}" for name, value in _VALUES.items())
    return (
        f"UPDATE {table} p SET {assignments}, {_REBUILT_AT} "  # noqa: S608
        f"FROM {_ROWS} WHERE b.customer_id = p.customer_id"
    )


def _insert(table: str) -> str:
    return (
        f"INSERT INTO {table} AS p (customer_id, {', '.join(_VALUES)}, rebuilt_at) "  # noqa: S608
        f"SELECT b.customer_id, {', '.join(_VALUES.values())}, "
        f"CASE WHEN b.rebuilt THEN %(now)s END FROM {_ROWS}"
    )


def _on_conflict() -> str:
    taken = ", ".join(f"{name} = excluded.{name}" for name in _VALUES)
    kept = "rebuilt_at = COALESCE(excluded.rebuilt_at, p.rebuilt_at)"
    return f" ON CONFLICT (customer_id) DO UPDATE SET {taken}, {kept}"


def _record(row: Folded) -> dict[str, Any]:
    """Return what travels of a state; texts as long as their columns."""
    state = row.state
    count, revenue, last_order = profile.orders(state)
    record: dict[str, Any] = {
        "customer_id": row.customer_id,
        "first_seen_us": state.get("f"),
        "last_seen_us": state.get("l"),
        "events": state.get("n", 0),
        "sessions": profile.sessions(state),
        "orders": count,
        "revenue_minor": revenue,
        "last_order_us": last_order,
        "traits": profile.traits(state) if "t" in state else {},
        "state": state,
        "rebuilt": row.rebuilt,
    }
    known = state.get("x")
    if known:
        record.update((key, known[key][1][: _WIDTHS[key]]) for key in known)
    return record
