"""Rows of the log in commit-safe order, and the facts in them.

A sequence alone would skip rows: a slow transaction commits a number lower than one already read.
Rows are read by (epoch, xid, seq) and only below the oldest open transaction (`epoch.horizon`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.db import connection

from personalization.consent import serve as consent
from personalization.events import serve
from personalization.events.engine import flags
from personalization.events.engine.facts import Fact, parse
from personalization.events.engine.registered import registered
from personalization.events.epoch import Horizon

_FIELDS = """
    e.shard, e.epoch, e.xid::text::bigint, e.seq, e.identity_id, e.message_id,
    (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.name, e.purposes, e.flags,
    e.properties::text, e.traits::text, e.context::text
"""
# One descent of the tail index a shard and partition. PostgreSQL has no estimate for positions in
# the log, takes them for rare, and would sort the whole backlog of a shard to return its first
# rows: sorting is made unattractive.
_IN_ORDER = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"
_AS_BEFORE = "SET LOCAL enable_sort = on; SET LOCAL enable_bitmapscan = on"
# What the caller does not fold is not sent: nine rows of ten may be such.
_OF_NAMES = """
    e.shard, e.epoch, e.xid::text::bigint, e.seq, e.identity_id, e.message_id,
    (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.name, e.purposes, e.flags,
    CASE WHEN e.name = ANY(%(names)s) THEN e.properties::text END,
    CASE WHEN e.name = ANY(%(names)s) THEN e.traits::text END,
    CASE WHEN e.name = ANY(%(names)s) THEN e.context::text END
"""
_AFTER = f"""
{_IN_ORDER};
SELECT e.*
FROM unnest(%(shards)s::smallint[], %(epochs)s::int[], %(xids)s::bigint[], %(seqs)s::bigint[])
    AS w (shard, epoch, xid, seq)
CROSS JOIN LATERAL (
    SELECT {{fields}} FROM events_event e
    WHERE e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
      AND (e.epoch, e.xid) < (%(epoch)s, %(xid)s::text::xid8)
    ORDER BY e.epoch, e.xid, e.seq
    LIMIT %(limit)s
) e
"""  # noqa: S608 -- a constant
_OF = f"""
SELECT {_FIELDS} FROM events_event e
WHERE e.identity_id = ANY(%(identities)s) AND (e.epoch, e.xid) < (%(epoch)s, %(xid)s::text::xid8)
ORDER BY e.occurred_at
"""  # noqa: S608 -- a constant
_OWNERS = """
SELECT i.id, i.customer_id, c.version, COALESCE(s.granted, 0), COALESCE(s.denied, 0)
FROM customers_identity i JOIN customers_customer c ON c.id = i.customer_id
LEFT JOIN consent_consentstate s ON s.customer_id = i.customer_id
"""
# Every row of the customers' identities, customer by customer. No condition on places in the log:
# PostgreSQL would take it for one that next to nothing meets, and plan for a single row.
_STREAM = f"""
SELECT i.customer_id, c.version, {_FIELDS}
FROM unnest(%(customers)s::bigint[]) AS w (id)
JOIN customers_customer c ON c.id = w.id
JOIN customers_identity i ON i.customer_id = w.id
JOIN events_event e ON e.identity_id = i.id
ORDER BY i.customer_id
"""  # noqa: S608 -- a constant
# What the properties of an event say that folds know by its name alone.
_PLAIN = parse("", "", {}, "")


class Position(NamedTuple):
    """A row's place in the log."""

    epoch: int
    xid: int
    seq: int


class Row(NamedTuple):
    """One row of the log, as read."""

    shard: int
    epoch: int
    xid: int
    seq: int
    identity_id: int | None
    message_id: str
    occurred_us: int
    name: str
    purposes: int
    flags: int
    properties: str
    traits: str | None
    context: str


class Owner(NamedTuple):
    """Whose identity it is, at which version, and the purposes in force for that customer."""

    customer_id: int
    version: int
    in_force: int


def after(
    positions: Mapping[int, Position],
    *,
    horizon: Horizon,
    limit: int,
    names: Collection[str] | None = None,
) -> list[Row]:
    """Return the next rows of each shard, at most `limit` a shard, in order within the shard.

    Inside a transaction.

    Parameters
    ----------
    names
        Rows of other names come without what they hold; None: all come whole.
    """
    if not positions:
        return []
    params: dict[str, Any] = {
        "shards": list(positions),
        "epochs": [position.epoch for position in positions.values()],
        "xids": [position.xid for position in positions.values()],
        "seqs": [position.seq for position in positions.values()],
        "epoch": horizon.epoch,
        "xid": horizon.xid,
        "limit": limit,
        "names": list(names or ()),
    }
    statement = _AFTER.format(fields=_FIELDS if names is None else _OF_NAMES)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = list(map(Row._make, cursor.fetchall()))
        cursor.execute(_AS_BEFORE)
    return rows


def all_of(identity_ids: Sequence[int], *, horizon: Horizon) -> list[Row]:
    """Return every row of the identities below the horizon, by time."""
    params: dict[str, Any] = {
        "identities": list(identity_ids),
        "epoch": horizon.epoch,
        "xid": horizon.xid,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OF, params)
        return list(map(Row._make, cursor.fetchall()))


def stream(cursor: Any, customer_ids: Collection[int]) -> None:
    """Open a server-side cursor on (customer, its version, fields of a row), by customer."""
    cursor.execute(_STREAM, {"customers": list(customer_ids)})


def owners(identity_ids: Collection[int]) -> dict[int, Owner]:
    """Return the owner of each identity as of now."""
    return _owners("WHERE i.id = ANY(%s)", identity_ids)


def owners_of_customers(customer_ids: Collection[int]) -> dict[int, Owner]:
    """Return the owner of each identity that the customers hold as of now."""
    return _owners("WHERE i.customer_id = ANY(%s)", customer_ids)


def facts(rows: Iterable[Row], owner_of: Mapping[int, Owner]) -> Iterator[tuple[Row, Fact]]:
    """Yield what may be folded: no bots, no rows of nobody.

    Purposes are those that hold then and now.
    """
    schema = serve.schema()
    kinds, currency, bot = _Kinds(schema.fact), settings.SHOP_CURRENCY, flags.BOT
    for row in rows:
        owner = owner_of.get(row[4]) if row[4] is not None else None
        if owner is None or row[9] & bot:
            continue
        _, epoch, xid, seq, identity, message, at, name, then, bits, text, traits, around = row
        kind = kinds[name]
        properties, context = _object(text), _object(around)
        yield (
            row,
            Fact._make(
                (
                    identity,
                    owner[0],
                    message,
                    at,
                    name,
                    *(parse(kind, name, properties, currency) if kind else _PLAIN),
                    _object(traits) if traits else None,
                    *_place(context),
                    then & owner[2],
                    bits,
                    (epoch, xid, seq),
                    registered(name, properties, context, schema),
                )
            ),
        )


def _place(context: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Return device type, country, region, locale, time zone and session, "" for unknown."""
    get = context.get
    return (
        _inner(get("device"), "type"),
        get("country") or "",
        get("region") or "",
        get("locale") or "",
        get("timezone") or "",
        _inner(get("session"), "id"),
    )


def _inner(value: object, key: str) -> str:
    return (value.get(key) or "") if isinstance(value, dict) else ""


class _Kinds(dict[str, str]):
    """Kinds of fact by name, each asked for once."""

    def __init__(self, fact_of: Callable[[str], str]) -> None:
        super().__init__()
        self._fact_of = fact_of

    def __missing__(self, name: str) -> str:
        kind = self[name] = self._fact_of(name)
        return kind


def _owners(condition: str, ids: Collection[int]) -> dict[int, Owner]:
    in_force = consent.purposes().in_force
    masks: dict[tuple[int, int], int] = {}
    found: dict[int, Owner] = {}
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS + condition, [list(ids)])
        for identity_id, customer_id, version, granted, denied in cursor.fetchall():
            said = granted, denied
            if said not in masks:
                masks[said] = in_force(granted, denied, gpc=False)
            found[identity_id] = Owner(customer_id, version, masks[said])
    return found


def _object(text: str) -> dict[str, Any]:
    value = orjson.loads(text)
    return value if isinstance(value, dict) else {}
