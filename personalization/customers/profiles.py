"""Profiles by the thousand: lock, read, write in a few statements, without a model instance.

The processor's own door: it folds, this reads and writes. Always inside the caller's transaction.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import orjson
from django.db import connection

from personalization.customers.engine import profile
from personalization.customers.engine.profile import State

TABLE = "customers_profile"
# A generation that a replay builds beside the one in use.
NEXT_TABLE = "customers_profile_next"

_COLUMNS = (
    "first_seen_at",
    "last_seen_at",
    "events",
    "sessions",
    "orders",
    "revenue_minor",
    "last_order_at",
    "country",
    "region",
    "locale",
    "timezone",
    "device_type",
    "traits",
    "state",
    "updated_at",
    "rebuilt_at",
)
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
    customer_id bigint, first_seen_at timestamptz, last_seen_at timestamptz, events bigint, sessions int,
    orders int, revenue_minor bigint, last_order_at timestamptz, country text, region text, locale text,
    timezone text, device_type text, traits jsonb, state text, updated_at timestamptz, rebuilt_at timestamptz
) ON COMMIT DELETE ROWS
"""
_COPY = "COPY customers_profile_batch FROM STDIN"
# Text of COPY's own format; the backslash first.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_WIDTHS = {"country": 2, "region": 8, "locale": 20, "timezone": 64, "device_type": 10}
_EMPTY_PLACE = {key: "" for key in _WIDTHS}


@dataclass(frozen=True, slots=True)
class Folded:
    """A state to write, and whether it was folded from the whole log."""

    customer_id: int
    state: State
    rebuilt: bool = False


def lock(customer_ids: Collection[int], *, now: datetime) -> set[int]:
    """Lock the customers in the order of ids, raise their versions and mark their documents; return who exists."""
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
    """Write the states and the columns told by them. `known` are the customers that have a row (None: ask)."""
    stamp = _iso(now)
    text = StringIO("".join(_line(row, stamp) for row in rows))
    assignments = ", ".join(
        f"{name} = b.{name}" for name in _COLUMNS if name != "rebuilt_at"
    )
    columns = ", ".join(_COLUMNS)
    fresh = f"NOT EXISTS (SELECT FROM {table} p WHERE p.customer_id = b.customer_id)"
    if known is not None:
        fresh = "NOT b.customer_id = ANY(%(known)s)"
    with connection.cursor() as cursor:
        cursor.execute(_BATCH)
        cursor.copy_expert(_COPY, text)
        if known is None or known:
            cursor.execute(
                f"UPDATE {table} p SET {assignments}, "  # noqa: S608 -- names of our own, no input
                "rebuilt_at = COALESCE(b.rebuilt_at, p.rebuilt_at) "
                "FROM customers_profile_batch b WHERE b.customer_id = p.customer_id"
            )
        cursor.execute(
            f"INSERT INTO {table} (customer_id, {columns}) "  # noqa: S608 -- names of our own
            f"SELECT customer_id, {columns} FROM customers_profile_batch b WHERE {fresh} "
            "ORDER BY customer_id",
            {"known": list(known or ())},
        )
        cursor.execute("TRUNCATE customers_profile_batch")


def _line(row: Folded, stamp: str) -> str:
    state = row.state
    count, revenue, last_order = profile.orders(state)
    place: Mapping[str, str] = profile.place(state) if "x" in state else _EMPTY_PLACE
    traits: Any = orjson.dumps(profile.traits(state)).decode() if "t" in state else "{}"
    return "\t".join(
        (
            str(row.customer_id),
            _time(state.get("f")),
            _time(state.get("l")),
            str(state.get("n", 0)),
            str(profile.sessions(state)),
            str(count),
            str(revenue),
            _time(last_order),
            *[_text(place[key], width) for key, width in _WIDTHS.items()],
            traits.translate(_ESCAPES) if "\\" in traits else traits,
            _escaped(orjson.dumps(state).decode()),
            stamp,
            stamp if row.rebuilt else "\\N",
        )
    ) + "\n"


def _escaped(text: str) -> str:
    # JSON escapes every control character itself, so the backslash alone is left
    return text.replace("\\", "\\\\") if "\\" in text else text


def _text(value: str, width: int) -> str:
    return value[:width].translate(_ESCAPES) if value else ""


def _time(at_us: int | None) -> str:
    if at_us is None:
        return "\\N"
    return _iso(datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000))


def _iso(at: datetime) -> str:
    return at.isoformat()
