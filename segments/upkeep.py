"""What time asks of segments: sizes for the trends, and letting go of what is too old."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from personalization.events import facttable
from personalization.lib import clock
from segments import lists, selectors
from segments.models import Segment, Size

SLOT = timedelta(minutes=15)
_CHUNK = 10_000
_MOVED = """
SELECT segment_id, count(*) FILTER (WHERE entered), count(*) FILTER (WHERE NOT entered)
FROM segments_change WHERE noticed_at > %s AND noticed_at <= %s GROUP BY 1
"""
_PRUNE = """
DELETE FROM segments_change WHERE id IN (
    SELECT id FROM segments_change WHERE noticed_at < %s ORDER BY id LIMIT %s)
"""


@transaction.atomic
def measure(*, now: datetime) -> int:
    """Write the sizes of all segments in force for the slot that `now` lies in; return how many.

    Twice in a slot writes once.
    """
    at = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    counted = selectors.sizes()
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, [at - SLOT, at])
        moved = {segment: (entered, left) for segment, entered, left in cursor.fetchall()}
    rows = []
    for segment_id in Segment.objects.exclude(published=None).values_list("pk", flat=True):
        entered, left = moved.get(segment_id, (0, 0))
        rows.append(
            Size(
                segment_id=segment_id,
                at=at,
                members=counted.get(segment_id, 0),
                entered=entered,
                left=left,
            )
        )
    return len(Size.objects.bulk_create(rows, ignore_conflicts=True))


def prune(*, now: datetime) -> int:
    """Delete changes and sizes past SEGMENT_CHANGE_RETENTION_DAYS, and facts past the log's.

    In chunks, each a transaction of its own; return how many changes went.
    """
    oldest = now - timedelta(days=settings.SEGMENT_CHANGE_RETENTION_DAYS)
    Size.objects.filter(at__lt=oldest).delete()
    facttable.expire(clock.to_us(now - timedelta(days=settings.EVENT_RETENTION_DAYS)))
    gone = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, [oldest, _CHUNK])
            went = int(cursor.rowcount)
        gone += went
        if went < _CHUNK:
            return gone


def resolve_lists() -> int:
    """Look up ids of static lists that nobody went by so far; return how many somebody does now."""
    return lists.resolve_all()
