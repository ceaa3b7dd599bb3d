"""Whose lookalikes are asked for: the members of a segment in force, or of a static list."""

from collections.abc import Iterable

import numpy as np

from segments.learning.engine.features import Ints
from segments.models.rules import ListMember, Membership, Segment


def of_segment(key: str) -> Ints:
    """Return the ids of a segment's members now, ascending; none for a segment that is not there.

    Members as they were last decided: a rule that turned by the clock a moment ago may be behind.
    """
    row = Segment.objects.filter(key=key).first()
    if row is None:
        return np.zeros(0, np.int64)
    if row.kind == Segment.Kind.LIST:
        listed = ListMember.objects.filter(segment=row, customer_id__isnull=False)
        return _ids(listed.values_list("customer_id", flat=True))
    inside = Membership.objects.filter(version_id=row.published_id or 0)
    return _ids(inside.values_list("customer_id", flat=True))


def _ids(rows: Iterable[int | None]) -> Ints:
    return np.unique(np.array([one for one in rows if one is not None], np.int64))
