"""The facts table: every customer's events as rules read them, and when each kind first happened.

Keyed by customer: who is merged, un-merged or consents anew is written anew. Written by the
processor's projection inside its transaction; read by the SQL rendering of rules and for histories.
Knows nothing of the log, of consent or of rules.
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson
from django.db import connection

# Customers fall into so many buckets; each has its own partition.
BUCKETS = 64
# A name longer than the column is no name of a described event type.
_MAX_NAME = 200
_EXPIRE_CHUNK = 5_000

_COPY = "COPY events_fact (customer_id, at, seq, name_id, bucket, props) FROM STDIN"
# A name that this transaction itself has made may be rolled back yet: only what is older than it
# is known for good.
_KNOWN = """
SELECT name, id, COALESCE(age(xmin) > age(pg_current_xact_id_if_assigned()::xid), TRUE)
FROM events_factname WHERE name = ANY(%s)
"""
_CREATE = """
INSERT INTO events_factname (name) SELECT unnest(%s::varchar[]) ON CONFLICT DO NOTHING
"""
_NAMES_AT = """
SELECT f.customer_id, f.at, n.name
FROM unnest(%(customers)s::bigint[], %(times)s::bigint[]) AS m (customer_id, at)
JOIN events_fact f ON f.customer_id = m.customer_id AND f.at = m.at
JOIN events_factname n ON n.id = f.name_id
WHERE f.bucket = ANY(%(buckets)s) AND f.name_id = ANY(%(names)s)
ORDER BY f.customer_id, f.at, f.seq
"""
_DELETE = "DELETE FROM events_fact WHERE bucket = ANY(%s) AND customer_id = ANY(%s)"
_HISTORY = """
SELECT f.customer_id, f.at, f.seq, n.name, f.props::text
FROM events_fact f JOIN events_factname n ON n.id = f.name_id
WHERE f.bucket = ANY(%(buckets)s) AND f.customer_id = ANY(%(customers)s){conditions}
ORDER BY f.customer_id, f.at, f.seq
"""
_FIRST = """
INSERT INTO events_firstseen AS held (customer_id, name_id, at)
SELECT * FROM unnest(%s::bigint[], %s::int[], %s::bigint[])
ON CONFLICT (customer_id, name_id) DO UPDATE SET at = excluded.at WHERE excluded.at < held.at
"""
_FIRST_OF = """
SELECT f.customer_id, n.name, f.at
FROM events_firstseen f JOIN events_factname n ON n.id = f.name_id WHERE f.customer_id = ANY(%s)
"""
_EXPIRE = """
DELETE FROM events_fact_{bucket:02} WHERE ctid = ANY(
    ARRAY(SELECT ctid FROM events_fact_{bucket:02} WHERE at <= %s LIMIT %s)
)
"""
# Of one connection: whatever replaces the database under a process ends its connections first.
_names: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()


class FactRow(NamedTuple):
    """One event to write: its customer, time in microseconds, place in the log, name, properties.

    `props` holds what events.engine reads: registered properties, `$context`, `$session`,
    `$product`; None for nothing.
    """

    customer_id: int
    at: int
    seq: int
    name_id: int
    props: Mapping[str, Any] | None


class StoredEvent(NamedTuple):
    """One event as read: what rules call an event (`segments.engine.events.Event`)."""

    at: int
    seq: int
    name: str
    props: Mapping[str, Any]


def names(wanted: Collection[str]) -> dict[str, int]:
    """Return the id of each name, made where it is missing.

    Inside a transaction a name that is made holds back others that make the same one until it
    ends: ask for all names of a batch at once, so that two processes meet in one order.
    """
    known = _known()
    missing = sorted({name[:_MAX_NAME] for name in wanted if name[:_MAX_NAME] not in known})
    found = _look_up(missing, known)
    absent = [name for name in missing if name not in found]
    if absent:
        with connection.cursor() as cursor:
            cursor.execute(_CREATE, [absent])
        found |= _look_up(absent, known)
    return {
        name: known[cut] if (cut := name[:_MAX_NAME]) in known else found[cut] for name in wanted
    }


def ids(wanted: Collection[str]) -> dict[str, int]:
    """Return the ids of those names that exist."""
    known = _known()
    found = known | _look_up([name for name in wanted if name not in known], known)
    return {name: found[name] for name in wanted if name in found}


def ids_beginning(prefix: str) -> list[int]:
    """Return the ids of the names that begin so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM events_factname WHERE starts_with(name, %s)", [prefix])
        return [row[0] for row in cursor.fetchall()]


def all_names() -> dict[str, int]:
    """Return every name that any event has, with its id; a few hundred at most in any shop."""
    known = _known()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_factname")
        if cursor.fetchone()[0] != len(known):
            cursor.execute("SELECT name FROM events_factname")
            return ids([row[0] for row in cursor.fetchall()])
    return dict(known)


def write(rows: Iterable[FactRow | tuple[int, int, int, int, Mapping[str, Any] | None]]) -> None:
    """Add facts.

    By COPY of text put together here: half the time that `json_to_recordset` takes, a third of
    `unnest`. The only byte of JSON that COPY reads in its own way is the backslash.
    """
    dumps = orjson.dumps
    text = b"".join(
        [
            b"%d\t%d\t%d\t%d\t%d\t%b\n"
            % (
                customer,
                at,
                seq,
                name,
                customer % BUCKETS,
                dumps(props).replace(b"\\", b"\\\\") if props else b"\\N",
            )
            for customer, at, seq, name, props in rows
        ]
    )
    if text:
        with connection.cursor() as cursor:
            cursor.copy_expert(_COPY, io.BytesIO(text))


def rewrite(
    customer_ids: Collection[int],
    rows: Iterable[FactRow | tuple[int, int, int, int, Mapping[str, Any] | None]],
) -> None:
    """Replace everything held of the customers. Inside the caller's transaction."""
    customers = list(customer_ids)
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, [_buckets(customers), customers])
    write(rows)


def history(
    customer_ids: Collection[int],
    name_ids: Collection[int] | None = None,
    since_us: int | None = None,
) -> dict[int, list[StoredEvent]]:
    """Return the events of each customer in order: of some names, later than a moment."""
    customers = list(customer_ids)
    found: dict[int, list[StoredEvent]] = {customer: [] for customer in customers}
    if not customers or (name_ids is not None and not name_ids):
        return found
    conditions, params = "", {"buckets": _buckets(customers), "customers": customers}
    if name_ids is not None:
        conditions += " AND f.name_id = ANY(%(names)s)"
        params["names"] = list(name_ids)
    if since_us is not None:
        conditions += " AND f.at > %(since)s"
        params["since"] = since_us  # type: ignore[assignment]  # a number among lists
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY.format(conditions=conditions), params)
        for customer, at, seq, name, props in cursor.fetchall():
            read = orjson.loads(props) if props else {}
            found[customer].append(StoredEvent(at, seq, name, read))
    return found


def names_at(
    moments: Collection[tuple[int, int]], name_ids: Collection[int]
) -> list[tuple[int, int, str]]:
    """Return (customer, time, name) of facts at these (customer, time), of some names, in order."""
    if not moments or not name_ids:
        return []
    customers, times = zip(*moments, strict=True)
    params = {
        "buckets": _buckets(customers),
        "customers": list(customers),
        "times": list(times),
        "names": list(name_ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(_NAMES_AT, params)
        return [(int(customer), int(at), str(name)) for customer, at, name in cursor.fetchall()]


def note_first_seen(rows: Iterable[tuple[int, int, int]]) -> None:
    """Remember (customer, name id, time) where it is earlier than what is known."""
    earliest: dict[tuple[int, int], int] = {}
    for customer, name, at in rows:
        if at < earliest.get((customer, name), at + 1):
            earliest[customer, name] = at
    if not earliest:
        return
    # in one order, so that two processes wait for each other in one order
    held = sorted(earliest.items())
    with connection.cursor() as cursor:
        cursor.execute(
            _FIRST,
            [[key[0] for key, _ in held], [key[1] for key, _ in held], [at for _, at in held]],
        )


def forget_first_seen(customer_ids: Collection[int]) -> None:
    """Forget when the customers did what first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events_firstseen WHERE customer_id = ANY(%s)", [list(customer_ids)]
        )


def first_seen(customer_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Return, of each customer, name -> time of the first event of it."""
    found: dict[int, dict[str, int]] = {customer: {} for customer in customer_ids}
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_OF, [list(customer_ids)])
        for customer, name, at in cursor.fetchall():
            found[customer][name] = at
    return found


def expire(before_us: int) -> int:
    """Delete facts at or before a moment, a few thousand a statement; return how many.

    Outside a transaction each statement is one of its own, so that nothing is held for long.
    """
    gone = 0
    with connection.cursor() as cursor:
        for bucket in range(BUCKETS):
            while True:
                cursor.execute(_EXPIRE.format(bucket=bucket), [before_us, _EXPIRE_CHUNK])
                gone += cursor.rowcount
                if cursor.rowcount < _EXPIRE_CHUNK:
                    break
    return gone


def _buckets(customers: Sequence[int]) -> list[int]:
    return sorted({customer % BUCKETS for customer in customers})


def _known() -> dict[str, int]:
    connection.ensure_connection()
    return _names.setdefault(connection.connection, {})


def _look_up(wanted: Sequence[str], known: dict[str, int]) -> dict[str, int]:
    """Return the ids of the names that exist, and keep those that cannot vanish."""
    if not wanted:
        return {}
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [list(wanted)])
        for name, its_id, settled in cursor.fetchall():
            found[name] = its_id
            if settled:
                known[name] = its_id
    return found
