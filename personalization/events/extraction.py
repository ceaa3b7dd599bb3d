"""What models learn from: interactions of customers with products, as arrays straight from the log.

Rows come by binary COPY of fixed width, so that a million of them are one `numpy.frombuffer`, never
Python objects. Only events whose purposes allow personalization, of customers for whom it is in
force now, and not of bots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from personalization.consent import serve as consent
from personalization.events import copied
from personalization.events.engine.flags import BOT
from personalization.events.engine.stored import DEVICES
from personalization.lib import clock

_ROW = copied.row_of(customer=">i8", item=">i8", kind=">i2", at_us=">i8", situation=">i4")
Columns = tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int8],
    NDArray[np.float64],
    NDArray[np.int16],
]
# Ids that no product has; more distinct ones than this are a fault of the shop's tags.
UNKNOWN_LIMIT = 10_000

# A product's key as facts read it (engine.facts): product_id, else sku, cut at 100 characters.
_KEY = "left(coalesce(nullif({0} ->> 'product_id', ''), nullif({0} ->> 'sku', '')), 100)"
_FROM = """
FROM events_event e
JOIN customers_identity i ON i.id = e.identity_id
LEFT JOIN consent_consentstate c ON c.customer_id = i.customer_id
"""
_WHERE = """
  AND e.occurred_at > %(since)s AND e.occurred_at <= %(until)s
  AND e.purposes & %(purpose)s <> 0 AND e.flags & %(bot)s = 0
  AND coalesce(c.denied, 0) & %(purpose)s = 0
  AND (coalesce(c.granted, 0) & %(purpose)s <> 0 OR %(by_default)s)
"""
# Names are told with the query: joined to their table they would be looked up row by row.
_COLUMNS = """
i.customer_id, e.occurred_at,
(%(places)s::int2[])[array_position(%(names)s::text[], e.name::text)] AS kind
"""
# The device, where the visitor was as `recommender.visits.country_of` tells it, the hour there; a
# time zone that nobody knows is the shop's, as at decision time. Zones are told with the query, as
# names are: joined, PostgreSQL may take the events for the smaller side, all of them in memory.
_SITUATION = """
array_position(%(devices)s::text[], e.context -> 'device' ->> 'type') AS device,
extract(hour FROM e.occurred_at AT TIME ZONE
    CASE WHEN e.context ->> 'timezone' = ANY(%(zones)s::text[]) THEN e.context ->> 'timezone'
         ELSE %(zone)s END)::int4 AS hour,
upper(coalesce(
    substring(e.context ->> 'country' FROM '^[A-Za-z]{2}$'),
    substring(e.context ->> 'locale' FROM '.[-_]([A-Za-z]{2})$')
) COLLATE "C") AS country
"""


def _touched(columns: str) -> str:
    """Return the query of all touches; orders apart: nearly all rows need no look into a list."""
    return f"""
SELECT * FROM (
    SELECT {columns}, {_KEY.format("e.properties")} AS item {_FROM}
    WHERE e.name = ANY(%(plain)s::text[]) {_WHERE}
    UNION ALL
    SELECT {columns}, {_KEY.format("p")} AS item {_FROM}
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE WHEN jsonb_typeof(e.properties -> 'products') = 'array'
             THEN e.properties -> 'products' ELSE '[]'::jsonb END
    ) AS p
    WHERE e.name = ANY(%(orders)s::text[]) {_WHERE}
) AS t WHERE item IS NOT NULL
"""  # noqa: S608 -- constants of this module alone


_TOUCHES = _touched(_COLUMNS)
# Of the whole log each table is read once from end to end. PostgreSQL takes conditions on bits of
# columns for rare ones and would look every customer up by index; and compiling a statement
# that runs once costs more than it saves.
_WHOLE = "SET LOCAL enable_nestloop = off; SET LOCAL jit = off"
_AGAIN = "SET LOCAL enable_nestloop = on; SET LOCAL jit = DEFAULT"
_ZONES = "SELECT array_agg(name ORDER BY name) FROM pg_timezone_names"
_NAMES = "SELECT name, fact FROM events_eventschema WHERE fact = ANY(%s) ORDER BY name"
# A timestamp goes as microseconds since 2000, which costs no arithmetic. What is known of the
# situation goes in one number: bits 0-2 device, 3-7 hour + 1, 8-17 letters of the country.
_ROWS = f"""
COPY (SELECT customer_id::int8, hashtextextended(item, 0), kind, occurred_at,
             coalesce(device, 0) + ((hour + 1) << 3) + coalesce(
                 (ascii(country) - 64) * 32 + ascii(right(country, 1)) - 64, 0) * 256
      FROM ({_touched(f"{_COLUMNS}, {_SITUATION}")}) AS touched)
TO STDOUT (FORMAT binary)
"""  # noqa: S608 -- the same
_UNKNOWN = f"""
SELECT item, count(*), min(occurred_at), max(occurred_at) FROM ({_TOUCHES}) AS touched
WHERE NOT EXISTS (SELECT 1 FROM catalog_product p WHERE p.key = item)
GROUP BY 1 ORDER BY 2 DESC LIMIT %(limit)s
"""  # noqa: S608 -- the same
_ANY = f"SELECT EXISTS ({_TOUCHES})"
_EPOCH_S = 946_684_800.0


@dataclass(frozen=True, slots=True)
class Touches:
    """Interactions as parallel arrays, in no order.

    `customers` int64 ids; `items` int64, PostgreSQL's `hashtextextended(key, 0)`; `kinds` int8
    places in the `kinds` that were asked for; `at_s` float64 seconds since the epoch; `situations`
    (n, 3) int16: device as its place in DEVICES from 1, local hour from 1 (midnight) to 24, country
    as 32 times the place of its first letter plus that of its second; 0 where nobody knows.
    """

    customers: NDArray[np.int64]
    items: NDArray[np.int64]
    kinds: NDArray[np.int8]
    at_s: NDArray[np.float64]
    situations: NDArray[np.int16]


def touches(
    *,
    kinds: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Touches:
    """Return the interactions of some fact kinds in (since, until], for personalization.

    Parameters
    ----------
    since
        Clamped to the retention: an older event does not exist for anybody.
    progress
        Called with the rows read so far, while the connection is busy: it may not query. What it
        raises ends the reading.
    """
    params = _params(kinds, since, until)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ZONES)
        params["zones"] = cursor.fetchone()[0]
        if since is None:
            cursor.execute(_WHOLE)
        blocks = copied.blocks(_ROWS, params, _ROW, _columns, progress=progress)
        cursor.execute(_AGAIN)
    columns = [list(parts) for parts in zip(*blocks, strict=True)]
    blocks.clear()
    # a column at a time: the pieces of one are gone before the next is put together
    return Touches(*(np.concatenate(columns.pop(0)) for _ in range(len(columns))))


def any_touch(
    *, kinds: Sequence[str], since: datetime | None = None, until: datetime | None = None
) -> bool:
    """Return whether `touches` would find any interaction at all."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY, _params(kinds, since, until))
        return bool(cursor.fetchone()[0])


def codes(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the codes that `Touches.items` uses for product keys, (len(keys),)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hashtextextended(key, 0)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS k(key, place) ORDER BY place",
            [list(keys)],
        )
        return np.array([code for (code,) in cursor.fetchall()], np.int64)


def unknown_items(
    *, kinds: Sequence[str], since: datetime | None = None, until: datetime | None = None
) -> dict[str, tuple[int, datetime, datetime]]:
    """Return keys that no product has: (events, first, last), the 10,000 most frequent."""
    params = _params(kinds, since, until) | {"limit": UNKNOWN_LIMIT}
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, params)
        return {key: (events, first, last) for key, events, first, last in cursor.fetchall()}


def _params(kinds: Sequence[str], since: datetime | None, until: datetime | None) -> dict[str, Any]:
    now = clock.now()
    oldest = now - timedelta(days=settings.EVENT_RETENTION_DAYS)
    in_force = consent.purposes().in_force(0, 0, gpc=False)
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [list(kinds)])
        named = cursor.fetchall()
    return {
        "names": [name for name, _ in named],
        "places": [kinds.index(fact) + 1 for _, fact in named],
        "plain": [name for name, fact in named if fact != "order"],
        "orders": [name for name, fact in named if fact == "order"],
        "since": max(since, oldest) if since else oldest,
        "until": until or now,
        "purpose": consent.PERSONALIZATION,
        "by_default": bool(in_force & consent.PERSONALIZATION),
        "bot": BOT,
        "devices": list(DEVICES),
        "zone": settings.SHOP_TIME_ZONE,
    }


def _columns(block: NDArray[np.void]) -> Columns:
    return (
        block["customer"].astype(np.int64),
        block["item"].astype(np.int64),
        (block["kind"] - 1).astype(np.int8),
        block["at_us"].astype(np.float64) / 1e6 + _EPOCH_S,
        _parted(block["situation"]),
    )


def _parted(situations: NDArray[np.int32]) -> NDArray[np.int16]:
    """Return (device, hour, country) of the numbers that `_ROWS` sends, (n, 3)."""
    found = np.empty((len(situations), 3), np.int16)
    found[:, 0] = situations & 7
    found[:, 1] = situations >> 3 & 31
    found[:, 2] = situations >> 8
    return found
