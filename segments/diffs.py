"""Who enters, leaves and stays when one version of a segment takes over from another.

Versions that are decided live are compared by the table of members; others by SQL over the base,
sampled by bucket above SEGMENT_PREVIEW_EXACT customers, with the margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import connection

from personalization.events.facttable import BUCKETS
from segments import selectors
from segments.faces import Someone, people
from segments.models import SegmentVersion
from segments.population import AT_HAND, Question, customers_in, settled
from segments.sampling import estimate

SAMPLE = 10
# Of a draft; a statement of one bucket takes far less.
MOST_MS = 10_000
_BOTH = """
SELECT count(*) FILTER (WHERE o.customer_id IS NULL), count(*) FILTER (WHERE n.customer_id IS NULL),
    count(*) FILTER (WHERE o.customer_id IS NOT NULL AND n.customer_id IS NOT NULL),
    (array_agg(n.customer_id ORDER BY n.customer_id)
        FILTER (WHERE o.customer_id IS NULL))[:%(few)s],
    (array_agg(o.customer_id ORDER BY o.customer_id)
        FILTER (WHERE n.customer_id IS NULL))[:%(few)s],
    (array_agg(n.customer_id ORDER BY n.customer_id)
        FILTER (WHERE o.customer_id IS NOT NULL AND n.customer_id IS NOT NULL))[:%(few)s]
FROM (SELECT customer_id FROM segments_membership WHERE version_id = %(old)s) o
FULL JOIN (SELECT customer_id FROM segments_membership WHERE version_id = %(new)s) n
    USING (customer_id)
"""
_MEMBERS = """
SELECT customer_id FROM segments_membership
WHERE version_id = %s AND customer_id %% 64 = ANY(%s::bigint[])
"""
_ALL = "SELECT count(*) FROM customers_customer WHERE merged_into_id IS NULL"


@dataclass(frozen=True, slots=True)
class Samples:
    """Ten customers, at most, of each."""

    entering: tuple[Someone, ...] = ()
    leaving: tuple[Someone, ...] = ()
    staying: tuple[Someone, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """What changes. `margin`: customers by which the largest count may be off, at 95 %."""

    from_number: int | None
    to_number: int
    as_of: datetime
    exact: bool
    margin: int | None
    entering: int
    leaving: int
    staying: int
    samples: Samples = field(default_factory=Samples)


def diff(old: SegmentVersion | None, new: SegmentVersion, *, now: datetime) -> Diff:
    """Return who would enter, leave and stay if `new` took over from `old` (None: from nobody).

    Raises
    ------
    PreviewTooSlow
        The rule of a draft took too long.
    """
    if _counted(new) and (old is None or _counted(old)):
        return _by_table(old, new, now)
    return _by_sql(old, new, now)


def _counted(version: SegmentVersion) -> bool:
    """Whether everybody has been decided by it, and still is."""
    return version.status in selectors.LIVE and version.ready_at is not None


def _by_table(old: SegmentVersion | None, new: SegmentVersion, now: datetime) -> Diff:
    params = {"old": old.pk if old else None, "new": new.pk, "few": SAMPLE}
    with connection.cursor() as cursor:
        cursor.execute(_BOTH, params)
        entering, leaving, staying, *samples = cursor.fetchone()
    return Diff(
        from_number=old.number if old else None,
        to_number=new.number,
        as_of=now,
        exact=True,
        margin=None,
        entering=entering,
        leaving=leaving,
        staying=staying,
        samples=Samples(*(people(ids or ()) for ids in samples)),
    )


def _by_sql(old: SegmentVersion | None, new: SegmentVersion, now: datetime) -> Diff:
    total = _total()
    buckets = range(min(BUCKETS, max(1, settings.SEGMENT_PREVIEW_EXACT * BUCKETS // (total or 1))))
    before = _members(old, buckets, now) if old else set()
    after = _members(new, buckets, now)
    sets = (after - before, before - after, before & after)
    share = len(buckets) / BUCKETS
    asked = total if share == 1 else customers_in(buckets)
    whole = [estimate(len(found), max(asked, len(found)), share) for found in sets]
    return Diff(
        from_number=old.number if old else None,
        to_number=new.number,
        as_of=now,
        exact=share == 1,
        margin=None if share == 1 else max(one.margin for one in whole),
        entering=whole[0].count,
        leaving=whole[1].count,
        staying=whole[2].count,
        samples=Samples(*(people(sorted(found)[:SAMPLE]) for found in sets)),
    )


def _members(version: SegmentVersion, buckets: Sequence[int], now: datetime) -> set[int]:
    if _counted(version):
        with connection.cursor() as cursor:
            cursor.execute(_MEMBERS, [version.pk, list(buckets)])
            return {row[0] for row in cursor.fetchall()}
    question = Question({AT_HAND: version.rule}, now)
    with settled(most_ms=MOST_MS):
        return set(question.members(AT_HAND, buckets))


def _total() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_ALL)
        return int(cursor.fetchone()[0])
