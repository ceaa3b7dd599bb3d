"""How far each projection group has read each shard, and which processor works on which shard.

A lease shares the work; it does not protect it. What protects it is that the row of the watermark
is locked in the transaction of the effects, so that two processors that both believe in a lease
wait for each other.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from personalization.events.engine.shards import SHARDS
from personalization.events.processor.reading import Position, Row

PROFILE = "profile"
# Longer than any micro-batch and any pause of the machine that is not an outage.
LEASE = timedelta(seconds=10)

_ENSURE = """
INSERT INTO events_watermark ("group", shard, epoch, xid, seq, leased_by)
SELECT g, s, 0, 0, 0, '' FROM unnest(%s::text[]) g, generate_series(0, %s) s ON CONFLICT DO NOTHING
"""
_LOCK = """
SELECT shard, epoch, xid, seq FROM events_watermark
WHERE "group" = %(group)s AND (%(owner)s = '' OR leased_by = %(owner)s)
ORDER BY shard FOR NO KEY UPDATE SKIP LOCKED
"""
_BEHIND = """
SELECT EXISTS (
    SELECT 1 FROM events_watermark w JOIN events_watermark p ON p.shard = w.shard
    WHERE w."group" = %(group)s AND p."group" = %(profile)s
      AND (w.epoch, w.xid, w.seq) < (p.epoch, p.xid, p.seq))
"""
# Forwards alone: a watermark that moved back would count events twice.
_MOVE = """
UPDATE events_watermark w SET epoch = n.epoch, xid = n.xid, seq = n.seq, updated_at = %(now)s
FROM unnest(%(shards)s::smallint[], %(epochs)s::int[], %(xids)s::bigint[], %(seqs)s::bigint[])
    AS n (shard, epoch, xid, seq)
WHERE w."group" = %(group)s AND w.shard = n.shard
  AND (w.epoch, w.xid, w.seq) < (n.epoch, n.xid, n.seq)
"""
_RENEW = """
UPDATE events_watermark SET leased_until = %(until)s
WHERE "group" = %(group)s AND leased_by = %(owner)s
"""
_TAKE = """
UPDATE events_watermark SET leased_by = %(owner)s, leased_until = %(until)s WHERE id IN (
    SELECT id FROM events_watermark
    WHERE "group" = %(group)s AND leased_by <> %(owner)s
      AND (leased_by = '' OR leased_until IS NULL OR leased_until <= %(now)s)
    ORDER BY shard LIMIT %(count)s FOR NO KEY UPDATE SKIP LOCKED)
"""
_RELEASE = """
UPDATE events_watermark SET leased_by = '', leased_until = NULL WHERE id IN (
    SELECT id FROM events_watermark WHERE "group" = %(group)s AND leased_by = %(owner)s
    ORDER BY shard DESC LIMIT %(count)s FOR NO KEY UPDATE)
"""


def ensure(groups: Iterable[str]) -> None:
    """Make sure that each group has a watermark for each shard."""
    with connection.cursor() as cursor:
        cursor.execute(_ENSURE, [list(groups), SHARDS - 1])


def lock(group: str, *, owner: str) -> dict[int, Position]:
    """Lock and return the watermarks that the owner leases ("" for all).

    Rows that another holds are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"group": group, "owner": owner})
        return {shard: Position(*place) for shard, *place in cursor.fetchall()}


def read(group: str) -> dict[int, Position]:
    """Return the watermarks of a group."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT shard, epoch, xid, seq FROM events_watermark WHERE "group" = %s', [group]
        )
        return {shard: Position(*place) for shard, *place in cursor.fetchall()}


def is_behind(group: str) -> bool:
    """Whether `profile` has read further than the group in any shard. Locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND, {"group": group, "profile": PROFILE})
        return bool(cursor.fetchone()[0])


def move(group: str, to: Mapping[int, Position], *, now: datetime) -> None:
    """Move watermarks forwards, in the caller's transaction."""
    if not to:
        return
    params: dict[str, Any] = {
        "group": group,
        "shards": list(to),
        "epochs": [position.epoch for position in to.values()],
        "xids": [position.xid for position in to.values()],
        "seqs": [position.seq for position in to.values()],
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, params)


def last(rows: Iterable[Row]) -> dict[int, Position]:
    """Return the place of the last row of each shard."""
    found: dict[int, Position] = {}
    for row in rows:
        found[row.shard] = Position(row.epoch, row.xid, row.seq)
    return found


def lease(group: str, *, owner: str, processors: int, now: datetime) -> int:
    """Renew what the owner leases and take or give until it has its share.

    Return how many shards it has.

    `processors` is how many are alive, this one included.
    """
    share = -(-SHARDS // max(processors, 1))
    params: dict[str, Any] = {"group": group, "owner": owner, "now": now, "until": now + LEASE}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RENEW, params)
        held = cursor.rowcount
        if held < share:
            cursor.execute(_TAKE, params | {"count": share - held})
            held += cursor.rowcount
        elif held > share:
            cursor.execute(_RELEASE, params | {"count": held - share})
            held -= cursor.rowcount
    return int(held)


def release(group: str, *, owner: str) -> None:
    """Give every shard back, so that others need not wait for the leases to run out."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, {"group": group, "owner": owner, "count": SHARDS})
