"""How many customers any two segments in force share; of a large base by whole buckets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from personalization.events.facttable import BUCKETS
from segments.models import Segment
from segments.population import customers_in, settled
from segments.sampling import estimate

# Pairs of memberships that are counted within about two seconds; of more, buckets are a sample.
PAIRED = 5_000_000
MOST_MS = 10_000
# As last measured: counting millions takes longer than pairing a sample of them.
_SIZES = """
SELECT s.id, COALESCE(
    (SELECT z.members FROM segments_size z WHERE z.segment_id = s.id ORDER BY z.at DESC LIMIT 1),
    (SELECT count(*) FROM segments_membership m WHERE m.version_id = s.published_id))
FROM segments_segment s WHERE s.published_id IS NOT NULL
"""
_SHARED = """
WITH held AS (
    SELECT m.segment_id, m.customer_id FROM segments_membership m JOIN segments_segment s
        ON s.id = m.segment_id AND s.published_id = m.version_id
    WHERE m.segment_id = ANY(%s) AND m.customer_id %% 64 < %s)
SELECT a.segment_id, b.segment_id, count(*) FROM held a JOIN held b USING (customer_id)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Shared members by pairs of ids, in both orders; sizes where both are the same.

    `rows`: the segments, by title. `margin`: how far off the least sure count may be, at 95 %.
    """

    rows: Sequence[Segment]
    shared: Mapping[tuple[int, int], int]
    exact: bool
    margin: int
    left_out: int


def overlaps(*, most: int) -> Overlaps:
    """Return what the largest segments in force share, at most `most` of them.

    Raises
    ------
    PreviewTooSlow
        Even the sample took longer than ten seconds.
    """
    rows = list(Segment.objects.exclude(published=None).order_by("title", "pk"))
    with settled(most_ms=MOST_MS), connection.cursor() as cursor:
        cursor.execute(_SIZES)
        sizes: dict[int, int] = dict(cursor.fetchall())
        largest = sorted(rows, key=lambda row: -sizes.get(row.pk, 0))[:most]
        buckets = _buckets([sizes.get(row.pk, 0) for row in largest])
        cursor.execute(_SHARED, [[row.pk for row in largest], buckets])
        found = {(a, b): count for a, b, count in cursor.fetchall()}
        asked = 0 if buckets == BUCKETS else customers_in(range(buckets))
    kept = {row.pk for row in largest}
    share = buckets / BUCKETS
    told = {pair: estimate(many, max(asked, many), share) for pair, many in found.items()}
    return Overlaps(
        rows=[row for row in rows if row.pk in kept],
        shared={pair: one.count for pair, one in told.items()},
        exact=buckets == BUCKETS,
        margin=max((one.margin for one in told.values()), default=0),
        left_out=len(rows) - len(kept),
    )


def _buckets(sizes: Sequence[int]) -> int:
    """Return how many of the 64 parts of the base are paired; `sizes` descending.

    Two segments share at most the smaller one's members: what must be paired is at most each size
    as often as it is the smaller one.
    """
    pairs = sum(size * (2 * place + 1) for place, size in enumerate(sizes))
    return max(1, BUCKETS * PAIRED // max(pairs, PAIRED))
