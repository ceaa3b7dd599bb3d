"""Sizes of segments as beat measured them: points of a chart, trends and sizes of a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from segments.pictures import Measured

# A chart has so many points at most; finer steps only for segments that are younger.
_POINTS = 180
_STEPS = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(days=1),
    timedelta(days=7),
)
_FIRST = "SELECT min(at) FROM segments_size WHERE segment_id = %s AND at > %s AND at <= %s"
_BINNED = """
SELECT segment_id, max(at), (array_agg(members ORDER BY at DESC))[1], sum(entered), sum("left")
FROM segments_size WHERE segment_id = ANY(%s::bigint[]) AND at > %s AND at <= %s
GROUP BY segment_id, date_bin(%s::interval, at, TIMESTAMPTZ 'epoch') ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Trend:
    """A size a day, oldest first; the newest is the size as last measured."""

    days: tuple[Measured, ...] = field(default=())

    @property
    def newest(self) -> Measured | None:
        """Return the last measurement."""
        return self.days[-1] if self.days else None


def since(segment_id: int, begins: datetime, *, now: datetime) -> list[Measured]:
    """Return a segment's sizes in order of time, in steps that suit how far back they go.

    A point has the size at the end of its step, and who came and went in it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, [segment_id, begins, now])
        (first,) = cursor.fetchone()
    if first is None:
        return []
    step = next((one for one in _STEPS if (now - first) / one <= _POINTS), _STEPS[-1])
    return list(_binned([segment_id], begins, now, step).get(segment_id, ()))


def trends(segment_ids: Sequence[int], begins: datetime, *, now: datetime) -> Mapping[int, Trend]:
    """Return the sizes of many segments, a point a day; one query."""
    found = _binned(segment_ids, begins, now, timedelta(days=1))
    return {segment_id: Trend(tuple(days)) for segment_id, days in found.items()}


def _binned(
    segment_ids: Sequence[int], begins: datetime, now: datetime, step: timedelta
) -> dict[int, list[Measured]]:
    found: dict[int, list[Measured]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_BINNED, [list(segment_ids), begins, now, f"{step.total_seconds()} s"])
        for segment_id, at, members, entered, left in cursor.fetchall():
            point = Measured(at, members, int(entered), int(left))
            found.setdefault(segment_id, []).append(point)
    return found
