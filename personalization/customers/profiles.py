"""Profiles by the thousand: lock, read, write in a few statements, without a model instance.

The processor's own door: it folds, this reads and writes. Always inside the caller's transaction.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any

import orjson
from django.db import connection

from personalization.customers.engine import profile
from personalization.customers.engine.profile import State

TABLE = "customers_profile"
# A generation that a replay builds beside the one in use.
NEXT_TABLE = "customers_profile_next"

_MICROSECOND = "INTERVAL '1 microsecond'"
# Column -> its value in terms of the batch. Times travel as whole microseconds: printing dates
# costs more than folding.
_VALUES: Mapping[str, str] = {
    "first_seen_at": f"TIMESTAMPTZ 'epoch' + b.first_seen_us * {_MICROSECOND}",
    "last_seen_at": f"TIMESTAMPTZ 'epoch' + b.last_seen_us * {_MICROSECOND}",
    "events": "b.events",
    "sessions": "b.sessions",
    "orders": "b.orders",
    "revenue_minor": "b.revenue_minor",
    "last_order_at": f"TIMESTAMPTZ 'epoch' + b.last_order_us * {_MICROSECOND}",
    "country": "b.country",
    "region": "b.region",
    "locale": "b.locale",
    "timezone": "b.timezone",
    "device_type": "b.device_type",
    "traits": "b.traits",
    "state": "b.state",
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
SELECT id FROM bumped
"""
_BATCH = """
CREATE TEMPORARY TABLE IF NOT EXISTS customers_profile_batch (
    customer_id bigint, first_seen_us bigint, last_seen_us bigint, events bigint, sessions int,
    orders int, revenue_minor bigint, last_order_us bigint, country text, region text, locale text,
    timezone text, device_type text, traits jsonb, state text, rebuilt boolean
) ON COMMIT DELETE ROWS
"""
_COPY = "COPY customers_profile_batch FROM STDIN"
# Text of COPY's own format; the backslash first.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_EMPTY_PLACE = dict.fromkeys(("country", "region", "locale", "timezone", "device_type"), "")
_ABSENT = "NOT EXISTS (SELECT FROM {table} p WHERE p.customer_id = b.customer_id)"
_UNKNOWN = "NOT b.customer_id = ANY(%(known)s)"


@dataclass(frozen=True, slots=True)
class Folded:
    """A state to write, and whether it was folded from the whole log."""

    customer_id: int
    state: State
    rebuilt: bool = False


def lock(customer_ids: Collection[int], *, now: datetime) -> set[int]:
    """Lock the customers in the order of ids, raise their versions and mark their documents.

    Return who exists.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"ids": sorted(customer_ids), "now": now})
        return {row[0] for row in cursor.fetchall()}


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

    `known` are the customers that have a row (None: ask).
    """
    text = StringIO("".join(map(_line, rows)))
    update, insert = _statements(table)
    params: dict[str, Any] = {"now": now, "known": list(known or ())}
    with connection.cursor() as cursor:
        cursor.execute(_BATCH)
        cursor.copy_expert(_COPY, text)
        if known is None or known:
            cursor.execute(update, params)
        cursor.execute(
            insert + (_ABSENT.format(table=table) if known is None else _UNKNOWN), params
        )
        cursor.execute("TRUNCATE customers_profile_batch")


def _statements(table: str) -> tuple[str, str]:
    """UPDATE and the beginning of INSERT; names of our own, no input."""
    assignments = ", ".join(f"{name} = {value}" for name, value in _VALUES.items())
    rebuilt = "CASE WHEN b.rebuilt THEN %(now)s ELSE {} END"
    update = (
        f"UPDATE {table} p SET {assignments}, rebuilt_at = {rebuilt.format('p.rebuilt_at')} "  # noqa: S608
        "FROM customers_profile_batch b WHERE b.customer_id = p.customer_id"
    )
    insert = (
        f"INSERT INTO {table} (customer_id, {', '.join(_VALUES)}, rebuilt_at) "  # noqa: S608
        f"SELECT b.customer_id, {', '.join(_VALUES.values())}, {rebuilt.format('NULL')} "
        "FROM customers_profile_batch b WHERE "
    )
    return update, insert


def _line(row: Folded) -> str:
    state = row.state
    count, revenue, last_order = profile.orders(state)
    place: Mapping[str, str] = profile.place(state) if "x" in state else _EMPTY_PLACE
    traits = orjson.dumps(profile.traits(state)).decode() if "t" in state else "{}"
    body = orjson.dumps(state).decode()
    return (
        f"{row.customer_id}\t{_number(state.get('f'))}\t{_number(state.get('l'))}\t"
        f"{state.get('n', 0)}\t"
        f"{profile.sessions(state)}\t{count}\t{revenue}\t{_number(last_order)}\t"
        f"{_text(place['country'], 2)}\t{_text(place['region'], 8)}\t{_text(place['locale'], 20)}\t"
        f"{_text(place['timezone'], 64)}\t{_text(place['device_type'], 10)}\t"
        f"{_escaped(traits)}\t{_escaped(body)}\t{'t' if row.rebuilt else 'f'}\n"
    )


def _escaped(text: str) -> str:
    # JSON escapes every control character itself, so the backslash alone is left
    return text.replace("\\", "\\\\") if "\\" in text else text


def _text(value: str, width: int) -> str:
    return value[:width].translate(_ESCAPES) if value else ""


def _number(value: int | None) -> str:
    return "\\N" if value is None else str(value)
