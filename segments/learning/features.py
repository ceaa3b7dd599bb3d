"""What models learn from: every event of customers, as arrays straight from the log.

Rows come by binary COPY of fixed width, as in `events.extraction`; the same gate: events whose
purposes allow personalization, of customers for whom it is in force now, and no bots. An order is
one row and one more a product. What the catalogue said of a product when the event arrived is on
the event and counts; what it says now counts where nothing was noted. Knows nothing of features.
"""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from personalization.consent import serve as consent
from personalization.events import copied
from personalization.events.engine.flags import BOT
from personalization.lib import clock, money
from segments.learning.engine.features import DEVICES, KINDS, Events

# Name, type on the wire and in NumPy, of each field of a row.
_FIELDS = (
    ("customer", "int8", ">i8"),
    ("at_us", "int8", ">i8"),
    ("kind", "int2", ">i2"),
    ("item", "int8", ">i8"),
    ("category", "int8", ">i8"),
    ("brand", "int8", ">i8"),
    ("session", "int8", ">i8"),
    ("value", "float8", ">f8"),
    ("discounted", "int2", ">i2"),
    ("device", "int2", ">i2"),
    ("hour", "int2", ">i2"),
    ("weekday", "int2", ">i2"),
)
_ROW = copied.row_of(**{name: kind for name, _, kind in _FIELDS})

_KEY = "left(coalesce(nullif({0} ->> 'product_id', ''), nullif({0} ->> 'sku', '')), 100)"
_NUMBER = "CASE WHEN jsonb_typeof({0} -> '{1}') = 'number' THEN ({0} ->> '{1}')::float8 END"


def _number(source: str, name: str) -> str:
    return _NUMBER.format(source, name)


_OWN = _KEY.format("e.properties")
_PRODUCTS = (
    "jsonb_array_elements(CASE WHEN jsonb_typeof(e.properties -> 'products') = 'array'"
    " THEN e.properties -> 'products' ELSE '[]'::jsonb END)"
)
# What ingestion has stamped on the event (`catalog.serve.stamps`): in the order of the products,
# without those that the catalogue did not know. Of several they are told apart by place, so only
# where all were known.
_STAMPS = (
    "CASE WHEN jsonb_typeof(e.context -> 'products') = 'array' THEN e.context -> 'products' END"
)
_LINES = f"""
SELECT x.p, {_KEY.format("x.p")} AS item,
       count({_KEY.format("x.p")}) OVER (ORDER BY x.n) AS place,
       count({_KEY.format("x.p")}) OVER () AS total
FROM {_PRODUCTS} WITH ORDINALITY AS x (p, n) WHERE jsonb_typeof(x.p) = 'object'
"""  # noqa: S608 -- constants of this module alone
# Best first, as in events.engine.facts.
_WORTH = ", ".join(_number("e.properties", name) for name in ("revenue", "total", "value"))
_PIECES = f"coalesce({_number('w', 'quantity')}, 1) * {_number('w', 'price')}"
_FROM = f"""
FROM events_event e
JOIN customers_identity i ON i.id = e.identity_id
LEFT JOIN events_eventschema s ON s.name = e.name
LEFT JOIN consent_consentstate c ON c.customer_id = i.customer_id
CROSS JOIN LATERAL (SELECT {_STAMPS} AS told) AS k
CROSS JOIN LATERAL (
    SELECT coalesce(array_position(%(kinds)s, nullif(s.fact, '')::text), 1) AS kind,
           {_OWN} AS item, e.properties AS about,
           CASE WHEN s.fact IN ('order', 'refund') THEN coalesce(
                {_WORTH}, (SELECT sum({_PIECES}) FROM {_PRODUCTS} AS w))
                ELSE {_number("e.properties", "price")} END AS amount,
           CASE WHEN {_OWN} IS NOT NULL AND jsonb_array_length(k.told) = 1 THEN k.told -> 0 END
           AS stamp
    UNION ALL
    SELECT array_position(%(kinds)s, 'line'), l.item, l.p, {_number("l.p", "price")},
           CASE WHEN {_OWN} IS NULL AND l.item IS NOT NULL AND l.total = jsonb_array_length(k.told)
                THEN k.told -> (l.place - 1)::int END
    FROM ({_LINES}) AS l WHERE s.fact = 'order'
) AS t
LEFT JOIN catalog_product g ON g.key = t.item AND s.fact IS DISTINCT FROM ''
WHERE e.occurred_at > %(since)s AND e.occurred_at <= %(until)s
  AND i.customer_id > %(low)s AND i.customer_id <= %(high)s
  AND (%(of)s = 1 OR abs(hashint8(i.customer_id)::bigint) %% %(of)s = 0
       OR i.customer_id = ANY(%(also)s))
  AND e.purposes & %(purpose)s <> 0 AND e.flags & %(bot)s = 0
  AND coalesce(c.denied, 0) & %(purpose)s = 0
  AND (coalesce(c.granted, 0) & %(purpose)s <> 0 OR %(by_default)s)
"""  # noqa: S608 -- constants of this module alone
# What was said then, where anything was; a product without a brand then has none from now.
_THEN = "CASE WHEN t.stamp IS NOT NULL THEN {} ELSE {} END"
_COLUMNS = """
i.customer_id::int8,
(extract(epoch FROM e.occurred_at) * 1000000)::int8,
(t.kind - 1)::int2,
coalesce(hashtextextended(t.item, 0), 0),
coalesce(hashtextextended(coalesce({category}, left(t.about ->> 'category', 100)), 0), 0),
coalesce(hashtextextended(coalesce({brand}, left(t.about ->> 'brand', 100)), 0), 0),
coalesce(hashtextextended(e.context -> 'session' ->> 'id', 0), 0),
CASE WHEN upper(coalesce(e.properties ->> 'currency', %(currency)s)) = %(currency)s
     THEN coalesce(t.amount * %(minor)s, CASE WHEN s.fact NOT IN ('order', 'refund')
          OR t.kind = array_position(%(kinds)s, 'line') THEN {price} END, 'NaN')
     ELSE 'NaN' END::float8,
(coalesce(nullif(e.properties ->> 'coupon', ''), '') <> ''
 OR coalesce({discount}, 0) > 0)::int::int2,
(coalesce(array_position(%(devices)s, e.context -> 'device' ->> 'type'), 1) - 1)::int2,
extract(hour FROM e.occurred_at AT TIME ZONE %(zone)s)::int2,
(extract(isodow FROM e.occurred_at AT TIME ZONE %(zone)s) - 1)::int2
"""
_COLUMNS = _COLUMNS.format(
    discount=_number("e.properties", "discount"),
    category=_THEN.format("t.stamp ->> 'category'", "g.categories ->> 0"),
    brand=_THEN.format("t.stamp ->> 'brand'", "nullif(g.brand, '')"),
    price=_THEN.format(_number("t.stamp", "price_minor"), "g.price_minor"),
)
_ROWS = f"COPY (SELECT {_COLUMNS} {_FROM}) TO STDOUT (FORMAT binary)"
_SPAN = """
SELECT count(DISTINCT i.customer_id), max(i.customer_id)
FROM customers_identity i WHERE i.customer_id > %s
"""
_NAMES = """
SELECT DISTINCT k.name, hashtextextended(k.name, 0) FROM (
    SELECT key AS name FROM catalog_category
    UNION SELECT categories ->> 0 FROM catalog_product
) AS k WHERE hashtextextended(k.name, 0) = ANY(%s)
"""
_Block = dict[str, NDArray[Any]]


def events(
    *,
    until: datetime,
    low: int = 0,
    high: int = 2**62,
    one_in: int = 1,
    also: Sequence[int] = (),
    progress: Callable[[int], None] = lambda _rows: None,
) -> Events:
    """Return the events up to `until` of customers whose id lies in (low, high].

    Parameters
    ----------
    one_in
        Take one customer of so many, by a hash of the id: the same ones each time.
    also
        Ids of customers to take in any case.
    progress
        Called with the rows read so far, while the connection is busy: it may not query. What it
        raises ends the reading.
    """
    params = _params(until) | {"low": low, "high": high, "of": one_in, "also": list(also)}
    with transaction.atomic():
        blocks = copied.blocks(_ROWS, params, _ROW, _columns, progress=progress)
    return _events({n: np.concatenate([one[n] for one in blocks]) for n, _, _ in _FIELDS})


def customers() -> int:
    """Return how many customers have an id in force or had one."""
    with connection.cursor() as cursor:
        cursor.execute(_SPAN, [0])
        return int(cursor.fetchone()[0])


def ranges(size: int) -> list[tuple[int, int]]:
    """Return (low, high] of ids that part the customers into groups of at most `size`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place"
            " FROM customers_customer) AS c WHERE place %% %s = 0 ORDER BY id",
            [size],
        )
        edges = [0, *(row for (row,) in cursor.fetchall()), 2**62]
    return list(itertools.pairwise(edges))


def category_names(codes: Sequence[int]) -> dict[int, str]:
    """Return the catalogue's name of each category code; codes that it does not know are absent."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [list(codes)])
        return {int(code): str(name) for name, code in cursor.fetchall()}


def _params(until: datetime) -> dict[str, Any]:
    oldest = clock.now() - timedelta(days=settings.EVENT_RETENTION_DAYS)
    in_force = consent.purposes().in_force(0, 0, gpc=False)
    return {
        "kinds": list(KINDS),
        "devices": list(DEVICES),
        "since": oldest,
        "until": until,
        "purpose": consent.PERSONALIZATION,
        "by_default": bool(in_force & consent.PERSONALIZATION),
        "bot": BOT,
        "currency": settings.SHOP_CURRENCY,
        "minor": 10 ** money.digits(settings.SHOP_CURRENCY),
        "zone": settings.SHOP_TIME_ZONE,
    }


def _events(columns: _Block) -> Events:
    return Events(
        customer=columns["customer"].astype(np.int64),
        at_us=columns["at_us"].astype(np.int64),
        kind=columns["kind"].astype(np.int8),
        item=columns["item"].astype(np.int64),
        category=columns["category"].astype(np.int64),
        brand=columns["brand"].astype(np.int64),
        session=columns["session"].astype(np.int64),
        # cents of a float are off by a rounding; prices of pieces of minor units do not exist
        value_minor=np.rint(columns["value"].astype(np.float64)).astype(np.float64),
        discounted=columns["discounted"].astype(np.bool_),
        device=columns["device"].astype(np.int8),
        hour=columns["hour"].astype(np.int8),
        weekday=columns["weekday"].astype(np.int8),
    )


def _columns(block: NDArray[np.void]) -> _Block:
    return {name: block[name].copy() for name, _, _ in _FIELDS}
