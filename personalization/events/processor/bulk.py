"""Bulk mode: a large backlog folded customer by customer, one write each.

For importers and the demo.

Live processors may run beside it: what is folded here lies below the customers' floors.
"""

from collections.abc import Callable, Iterator

from django.db import connection, transaction

from personalization.events import epoch
from personalization.events.epoch import Horizon
from personalization.events.processor import positions, rebuilding
from personalization.events.processor.reading import Position
from personalization.lib import clock

# Progress(customers done, customers in all)
Progress = Callable[[int, int], None]

# About 100 ms of work: each transaction holds back the horizon of every processor.
_CHUNK = 200
_WAITING = """
SELECT DISTINCT i.customer_id FROM events_watermark w JOIN events_event e ON e.shard = w.shard AND
(e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
    AND (e.epoch, e.xid) < (%s, %s::text::xid8)
JOIN customers_identity i ON i.id = e.identity_id
WHERE w."group" = 'profile'
ORDER BY i.customer_id
"""
# The last row of a shard below the horizon.
_TOP = """
SELECT t.* FROM generate_series(0, 63) s CROSS JOIN LATERAL (
    SELECT e.shard, e.epoch, e.xid::text::bigint, e.seq FROM events_event e
    WHERE e.shard = s AND (e.epoch, e.xid) < (%s, %s::text::xid8)
    ORDER BY e.epoch DESC, e.xid DESC, e.seq DESC LIMIT 1) t
"""


def run(progress: Progress | None = None) -> int:
    """Fold everything that waits, customer by customer, then move the watermarks.

    Return how many events it read.

    Killed in the middle, what is done stays done and the rest is folded by whoever comes next.
    """
    epoch.ensure()
    positions.ensure([positions.PROFILE])
    horizon = epoch.horizon()
    waiting = _waiting(horizon)
    events = 0
    for start in range(0, len(waiting), _CHUNK):
        events += rebuilding.rebuild(waiting[start : start + _CHUNK], now=clock.now())
        if progress is not None:
            progress(min(start + _CHUNK, len(waiting)), len(waiting))
    _move_up(horizon)
    return events


def _waiting(horizon: Horizon) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, list(horizon))
        return [row[0] for row in cursor.fetchall()]


def _move_up(horizon: Horizon) -> None:
    """Set the watermarks to the last rows below the horizon; ones that are further stay."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_TOP, list(horizon))
            to = dict(_places(cursor.fetchall()))
        positions.move(positions.PROFILE, to, now=clock.now())


def _places(rows: list[tuple[int, int, int, int]]) -> Iterator[tuple[int, Position]]:
    for shard, *place in rows:
        yield shard, Position(*place)
