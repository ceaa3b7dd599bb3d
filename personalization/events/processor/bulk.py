"""Bulk mode: a large backlog folded customer by customer, one write each.

For importers and the demo. Works in lanes: threads with a session each, so that one computes while
another waits for PostgreSQL.

Live processors may run beside it: what is folded here lies below the customers' floors.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from queue import SimpleQueue
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from personalization.customers import profiles
from personalization.events import epoch
from personalization.events.epoch import Horizon
from personalization.events.processor import isolation, positions, reading, rebuilding
from personalization.events.processor.reading import Position, Row
from personalization.lib import clock

# (customers, events) of each chunk that is folded
Done = Generator[tuple[int, int], None, None]
# Progress(customers done, customers in all)
Progress = Callable[[int, int], None]

# Customers whose whole logs are sorted together: in memory, at 30 events each of 500 bytes.
_WINDOW = 2_000
_SORT_MEMORY = "64MB"
# About 100 ms of work: each transaction holds back the horizon of every processor.
_ROWS = 2_500
# More than what lies below the horizon may come out: folding too many does no harm.
_WAITING = """
SELECT DISTINCT i.customer_id FROM events_watermark w JOIN events_event e
    ON e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
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

# (customer id, its version when it was read, the fields of a row)
_Read = tuple[Any, ...]


def run(progress: Progress | None = None) -> int:
    """Fold everything that waits, customer by customer, then move the watermarks.

    Return how many events it read.

    Killed in the middle, what is done stays done and the rest is folded by whoever comes next.
    """
    epoch.ensure()
    positions.ensure([positions.PROFILE])
    horizon = epoch.horizon()
    waiting = _waiting()
    windows = [waiting[at : at + _WINDOW] for at in range(0, len(waiting), _WINDOW)]
    events = done = 0
    with closing(_folded(windows)) as parts:
        for customers, read in parts:
            events += read
            done += customers
            if progress is not None:
                progress(done, len(waiting))
    if progress is not None:
        progress(len(waiting), len(waiting))
    _move_up(horizon)
    return events


def _waiting() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return [row[0] for row in cursor.fetchall()]


def _folded(windows: Sequence[Sequence[int]]) -> Done:
    """Fold the customers of each window; yield (customers, events) of each chunk that is done.

    Ends its lanes between two chunks when one fails or the caller stops asking.
    """
    lanes = min(settings.PROCESSOR_LANES, len(windows))
    if lanes < 2:  # noqa: PLR2004 -- this thread does it
        for window in windows:
            yield from _fold_window(window)
        return
    left, told, stop = deque(windows), SimpleQueue[tuple[int, int] | None](), threading.Event()

    def lane() -> None:
        try:
            while window := _taken(left):
                with closing(_fold_window(window)) as parts:
                    for part in parts:
                        told.put(part)
                        if stop.is_set():
                            return
        except BaseException:
            stop.set()
            raise
        finally:
            connection.close()
            told.put(None)

    with ThreadPoolExecutor(lanes, "bulk-fold") as pool:
        working = [pool.submit(lane) for _ in range(lanes)]
        try:
            for _ in working:
                yield from iter(told.get, None)
        finally:
            stop.set()
    for one in working:
        one.result()


def _taken(left: deque[Sequence[int]]) -> Sequence[int]:
    try:
        return left.popleft()
    except IndexError:
        return ()


def _fold_window(customer_ids: Sequence[int]) -> Done:
    """Fold the customers anew, a chunk a transaction; yield (customers, events) of each."""
    with closing(_Stream(customer_ids)) as stream:
        for chunk in stream.chunks():
            yield len(chunk), _fold_chunk(chunk, stream.horizon)


def _fold_chunk(chunk: Sequence[tuple[int, int, list[Row]]], horizon: Horizon) -> int:
    """Fold customers as they were read.

    One that changed since then (another version: events folded, ids moved, consent) is read again.
    So are all when it fails; those for whom it fails again are set aside.
    """
    now = clock.now()

    def apart() -> int:
        locked = sorted(profiles.lock([customer_id for customer_id, _, _ in chunk], now=now))
        return isolation.fold(locked, partial(rebuilding.fold_locked, now=now), now).done

    return isolation.either(lambda: _fold_as_read(chunk, horizon, now), apart)


def _fold_as_read(
    chunk: Sequence[tuple[int, int, list[Row]]], horizon: Horizon, now: datetime
) -> int:
    with connection.cursor() as cursor:
        # A crash may lose the last chunks: they are folded again. The commit that moves the
        # watermarks waits for the disk, and with it for all before it.
        cursor.execute("SET LOCAL synchronous_commit = off")
    locked = profiles.lock([customer_id for customer_id, _, _ in chunk], now=now)
    same = {
        customer_id: rows
        for customer_id, version, rows in chunk
        if locked.get(customer_id) == version + 1
    }
    rebuilding.fold(same, horizon=horizon, now=now)
    events = sum(map(len, same.values()))
    return events + rebuilding.fold_locked(sorted(locked.keys() - same.keys()), now=now)


class _Stream:
    """The whole logs of some customers, read by a session of its own while others are folded.

    One snapshot: everything below its horizon is seen, with the versions that belong to it. It
    writes nothing, so it holds nobody's horizon back.
    """

    def __init__(self, customer_ids: Collection[int]) -> None:
        self._session = connection.get_new_connection(connection.get_connection_params())
        self._session.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with self._session.cursor() as cursor:
            cursor.execute(f"SET LOCAL work_mem = '{_SORT_MEMORY}'")
            cursor.execute(epoch.HORIZON)
            self.horizon = Horizon(*cursor.fetchone())
        self._cursor = self._session.cursor("bulk")
        reading.stream(self._cursor, customer_ids)
        self._reader = ThreadPoolExecutor(1, "bulk-read")

    def close(self) -> None:
        """End the session."""
        self._reader.shutdown()
        self._session.close()

    def chunks(self) -> Iterator[list[tuple[int, int, list[Row]]]]:
        """Yield customers with all their rows, about _ROWS rows at a time."""
        rest: list[_Read] = []
        pending = self._reader.submit(self._cursor.fetchmany, _ROWS)
        while read := pending.result():
            pending = self._reader.submit(self._cursor.fetchmany, _ROWS)
            rest += read
            # the last customer's rows may go on in the next piece
            last = rest[-1][0]
            whole = _count_before(rest, last)
            if whole:
                yield self._by_customer(rest[:whole])
                del rest[:whole]
        if rest:
            yield self._by_customer(rest)

    def _by_customer(self, rows: Sequence[_Read]) -> list[tuple[int, int, list[Row]]]:
        horizon = tuple(self.horizon)
        return [
            (customer, version, [Row._make(row[2:]) for row in own if row[3:5] < horizon])
            for (customer, version), own in groupby(rows, key=itemgetter(0, 1))
        ]


def _count_before(rows: Sequence[_Read], customer_id: int) -> int:
    count = len(rows)
    while count and rows[count - 1][0] == customer_id:
        count -= 1
    return count


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
