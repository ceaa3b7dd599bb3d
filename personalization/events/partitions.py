"""Monthly partitions of the log: made ahead, filled from DEFAULT, dropped past retention.

Rows keep their (epoch, xid, seq) when they move, so no reader sees one twice. Each step is a
transaction of its own that waits at most two seconds for its locks; what it cannot get, the next
run does.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg2 import sql
from psycopg2.errorcodes import LOCK_NOT_AVAILABLE

from personalization.lib.locks import hold

log = structlog.get_logger("events")

MONTHS_AHEAD = 3
# DETACH must lock the whole log: behind it, ingestion waits.
_LOCK_TIMEOUT = "2s"
# One process at a time makes and drops them.
_PARTITIONS = "partitions of events_event"
# Rows of an old month that came late are moved to DEFAULT; with more than this the month is kept.
_MOST_MOVED = 50_000
_DELETED_AT_ONCE = 10_000

_MONTHS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'events_event'::regclass AND c.relname <> 'events_event_default'
"""
_MONTHS_IN_DEFAULT = """
SELECT DISTINCT date_trunc('month', day)::date FROM events_event_default
WHERE day >= %s AND day < %s
"""
_FILL = """
WITH moved AS (DELETE FROM events_event_default WHERE day >= {start} AND day < {end} RETURNING *)
INSERT INTO {table} SELECT * FROM moved
"""
_ATTACH = """
ALTER TABLE events_event ATTACH PARTITION {table} FOR VALUES FROM ({start}) TO ({end})
"""
_EMPTY_DEFAULT = """
WITH old AS (
    SELECT day, trust, message_id FROM events_event_default WHERE received_at < %s
    ORDER BY day, trust, message_id LIMIT %s)
DELETE FROM events_event_default e USING old
WHERE (e.day, e.trust, e.message_id) = (old.day, old.trust, old.message_id)
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did."""

    created: tuple[date, ...]
    dropped: tuple[date, ...]
    deleted_from_default: int
    postponed: tuple[date, ...]


def maintain(*, now: datetime) -> Report:
    """Create partitions ahead, give months in DEFAULT theirs, drop what is past retention.

    Idempotent; safe beside ingestion, the processor and itself.
    """
    today, cutoff = now.date(), now - timedelta(days=settings.EVENT_RETENTION_DAYS)
    first = _first_of(today)
    end = _months_later(first, MONTHS_AHEAD + 1)
    wanted = {_months_later(first, ahead) for ahead in range(-1, MONTHS_AHEAD + 1)}
    wanted |= set(_months_in_default(_first_of(cutoff.date()), end))
    created, postponed = _each(wanted - months(), create)
    past = {month for month in months() if _midnight(_months_later(month, 1)) <= cutoff}
    dropped, kept = _each(past, lambda month: _drop(month, cutoff))
    report = Report(created, dropped, _delete_from_default(cutoff), postponed + kept)
    log.info("partitions.maintained", created=len(created), dropped=len(dropped))
    return report


def ensure(days: Collection[date]) -> None:
    """Make the partitions that rows of these days go to. For bulk loads of history."""
    for month in sorted({_first_of(day) for day in days} - months()):
        create(month)


def months() -> set[date]:
    """Return the first days of the months that have a partition."""
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS)
        names = [name for (name,) in cursor.fetchall()]
    return {
        datetime.strptime(name, "events_event_y%Ym%m").replace(tzinfo=UTC).date() for name in names
    }


def create(month: date) -> bool:
    """Make the partition of a month, with its rows out of DEFAULT; False when it exists."""
    table = sql.Identifier(_table(month))
    bounds = {
        "table": table,
        "start": sql.Literal(month),
        "end": sql.Literal(_months_later(month, 1)),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        hold(_PARTITIONS)
        if month in months():
            return False
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        # Writers to DEFAULT wait here; one whose row belongs to the new partition tries again.
        cursor.execute("LOCK TABLE events_event_default IN ACCESS EXCLUSIVE MODE")
        for statement in (
            "CREATE TABLE {table} (LIKE events_event INCLUDING ALL)",
            _FILL,
            _ATTACH,
        ):
            cursor.execute(sql.SQL(statement).format(**bounds))
    return True


def _drop(month: date, cutoff: datetime) -> bool:
    """Drop the partition of a month; what of it came within the retention moves to DEFAULT.

    There it goes on being known to deduplication. False when too much of it did (an import of
    history): then the month stays.
    """
    table = sql.Identifier(_table(month))
    late = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE received_at >= %s LIMIT %s) AS late")
    with transaction.atomic(), connection.cursor() as cursor:
        hold(_PARTITIONS)
        cursor.execute(late.format(table), [cutoff, _MOST_MOVED + 1])
        if cursor.fetchone()[0] > _MOST_MOVED:
            return False
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        cursor.execute(sql.SQL("ALTER TABLE events_event DETACH PARTITION {}").format(table))
        keep = sql.SQL("INSERT INTO events_event_default SELECT * FROM {} WHERE received_at >= %s")
        cursor.execute(keep.format(table), [cutoff])
        cursor.execute(sql.SQL("DROP TABLE {}").format(table))
    return True


def _each(
    wanted: set[date], step: Callable[[date], bool]
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Take the step for each month; return (months where it was taken, months left)."""
    done: list[date] = []
    left: list[date] = []
    for month in sorted(wanted):
        try:
            (done if step(month) else left).append(month)
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) != LOCK_NOT_AVAILABLE:
                raise
            log.warning("partitions.postponed", month=month.isoformat())
            left.append(month)
    return tuple(done), tuple(left)


def _delete_from_default(cutoff: datetime) -> int:
    """Delete what DEFAULT holds past retention, by receipt: its rows have no day to believe."""
    deleted = 0
    for count in _deletions(cutoff):
        deleted += count
    return deleted


def _deletions(cutoff: datetime) -> Iterator[int]:
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_EMPTY_DEFAULT, [cutoff, _DELETED_AT_ONCE])
            yield cursor.rowcount
            if cursor.rowcount < _DELETED_AT_ONCE:
                return


def _months_in_default(start: date, end: date) -> list[date]:
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS_IN_DEFAULT, [start, end])
        return [month for (month,) in cursor.fetchall()]


def _table(month: date) -> str:
    return f"events_event_y{month:%Y}m{month:%m}"


def _first_of(day: date) -> date:
    return day.replace(day=1)


def _months_later(month: date, count: int) -> date:
    years, index = divmod(month.month - 1 + count, 12)
    return date(month.year + years, index + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
