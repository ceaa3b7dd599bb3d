"""Writes of the decisions room: the log's partitions are made ahead and dropped after retention."""

import re
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from personalization.lib.locks import hold

_AHEAD_DAYS = 3
_TABLE = "decisions_decision"
_NAME = re.compile(rf"{_TABLE}_(\d{{8}})")


def maintain_partitions(*, now: datetime) -> tuple[int, int]:
    """Make the partitions of today and the next days, drop those past retention; return counts.

    Idempotent; one short transaction a partition. Rows that reached the default partition before
    theirs existed are moved.
    """
    today = now.date()
    wanted = [today + timedelta(days=n) for n in range(_AHEAD_DAYS + 1)]
    made = sum(_make(day) for day in wanted)
    oldest = today - timedelta(days=settings.DECISION_LOG_RETENTION_DAYS)
    dropped = sum(_drop(name) for name, day in _partitions() if day < oldest)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {_TABLE}_default WHERE day < %s", [oldest])  # noqa: S608 -- constant
    return made, dropped


def _partitions() -> list[tuple[str, date]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [_TABLE],
        )
        names = [row[0] for row in cursor.fetchall()]
    matches = [(name, _NAME.fullmatch(name)) for name in names]
    return [
        (name, date.fromisoformat(match.group(1))) for name, match in matches if match is not None
    ]


@transaction.atomic
def _make(day: date) -> bool:
    name = f"{_TABLE}_{day:%Y%m%d}"
    with connection.cursor() as cursor:
        # two maintainers at once: the second finds it made
        hold(_TABLE)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return False
        bounds = [day, day + timedelta(days=1)]
        cursor.execute(f"CREATE TABLE {name} (LIKE {_TABLE} INCLUDING ALL)")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {_TABLE}_default WHERE day >= %s AND day < %s RETURNING *)"  # noqa: S608 -- made of digits
            f" INSERT INTO {name} SELECT * FROM moved",
            bounds,
        )
        cursor.execute(
            f"ALTER TABLE {_TABLE} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)", bounds
        )
    return True


def _drop(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    return True
