"""Replay: all profiles built anew from the log into a second table, then swapped in at once.

The generation in use goes on meanwhile; its watermarks are not touched. What changed since a
customer was folded (new events, merges, consent) is folded again until little is left; the last of
it with the processors held.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import connection, transaction

from personalization.events import epoch
from personalization.events.epoch import Horizon
from personalization.events.processor import positions, rebuilding
from personalization.lib import clock

log = structlog.get_logger("events")

Progress = Callable[[int, int], None]

_CHUNK = 200
# Customers that may wait for the swap: folding them takes the processors about a quarter of a
# second.
_FEW = 500
_MOST_PASSES = 20
# One replay at a time in a database; held by the session, so that a kill frees it.
_LOCK = 5_171_402
_MAKE = """
DROP TABLE IF EXISTS customers_profile_next;
CREATE TABLE customers_profile_next (LIKE customers_profile INCLUDING ALL);
ALTER TABLE customers_profile_next SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05,
    toast_tuple_target = 4096);
"""
_CUSTOMERS = """
SELECT c.id FROM customers_customer c WHERE c.id > %s AND (
    EXISTS (SELECT FROM customers_profile p WHERE p.customer_id = c.id)
    OR EXISTS (SELECT FROM customers_identity i JOIN events_event e ON e.identity_id = i.id
               WHERE i.customer_id = c.id))
ORDER BY c.id LIMIT %s
"""
_CHANGED = """
SELECT DISTINCT i.customer_id FROM generate_series(0, 63) s
JOIN events_event e ON e.shard = s AND (e.epoch, e.xid) >= (%(epoch)s, %(xid)s::text::xid8)
JOIN customers_identity i ON i.id = e.identity_id
UNION
SELECT customer_id FROM customers_profile WHERE rebuilt_at >= %(since)s
UNION
SELECT customer_id FROM customers_rebuild_due WHERE error = ''
ORDER BY 1
"""
# The new table takes over the names, so that migrations find what they expect.
_SWAP = """
DROP TABLE customers_profile;
ALTER TABLE customers_profile_next RENAME TO customers_profile;
ALTER INDEX customers_profile_next_pkey RENAME TO customers_profile_pkey;
ALTER TABLE customers_profile ADD CONSTRAINT customers_profile_customer_id_fk
    FOREIGN KEY (customer_id) REFERENCES customers_customer (id) DEFERRABLE INITIALLY DEFERRED;
"""


class ReplayRunning(RuntimeError):  # noqa: N818 -- says what is, not what is wrong
    """Another replay holds the second table."""


def replay(progress: Progress | None = None) -> int:
    """Build every profile anew from the log and swap all of them in at once.

    Return how many customers.

    A kill before the swap leaves the generation in use as it is.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise ReplayRunning("a replay is running already")
    try:
        done = _replay(progress)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    log.info("profiles.replayed", customers=done)
    return done


def _replay(progress: Progress | None) -> int:
    epoch.ensure()
    positions.ensure([positions.PROFILE])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_MAKE)
    since, horizon = clock.now(), epoch.horizon()
    done = _fold_all(progress)
    for _ in range(_MOST_PASSES):
        changed, since, horizon = _changed(since, horizon), clock.now(), epoch.horizon()
        for start in range(0, len(changed), _CHUNK):
            rebuilding.rebuild_beside(changed[start : start + _CHUNK], now=clock.now())
        if len(changed) <= _FEW:
            break
    customers = _swap(since, horizon)
    for start in range(0, len(customers), _CHUNK):
        # raises their versions too, so that the documents follow
        rebuilding.project_again(
            customers[start : start + _CHUNK], now=clock.now(), cause=rebuilding.REPLAY
        )
    return done


def _fold_all(progress: Progress | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM customers_profile")
        total = cursor.fetchone()[0]
    done = last = 0
    while ids := _customers_after(last):
        rebuilding.rebuild_beside(ids, now=clock.now())
        last, done = ids[-1], done + len(ids)
        if progress is not None:
            progress(done, max(done, total))
    return done


def _customers_after(last: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_CUSTOMERS, [last, _CHUNK])
        return [row[0] for row in cursor.fetchall()]


def _changed(since: datetime, horizon: Horizon) -> list[int]:
    """Return customers with rows at or after the horizon, or folded anew since."""
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, {"epoch": horizon.epoch, "xid": horizon.xid, "since": since})
        return [row[0] for row in cursor.fetchall()]


def _swap(since: datetime, horizon: Horizon) -> list[int]:
    """Hold processors and rebuilds, fold what is left.

    And let the new table take the old one's place.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM events_watermark WHERE \"group\" = 'profile' FOR UPDATE")
            cursor.execute("LOCK TABLE customers_profile IN ACCESS EXCLUSIVE MODE")
        rebuilding.rebuild_beside(_changed(since, horizon), now=clock.now())
        with connection.cursor() as cursor:
            cursor.execute(_SWAP)
            cursor.execute("SELECT customer_id FROM customers_profile ORDER BY customer_id")
            return [row[0] for row in cursor.fetchall()]
