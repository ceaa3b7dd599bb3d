"""Sizes as charts and lists show them: steps by age, a point a day, large ones as measured."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from segments import lines, listing, measured
from segments.models import Segment, Size
from segments.pictures import Measured
from tests.events.processor.log import NOW

pytestmark = pytest.mark.django_db
MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)


def segment(key: str = "eager") -> Segment:
    return Segment.objects.create(key=key, title=key, created_at=NOW, updated_at=NOW)


def sizes(row: Segment, *told: tuple[datetime, int, int, int]) -> None:
    Size.objects.bulk_create(
        Size(segment=row, at=at, members=members, entered=entered, left=left)
        for at, members, entered, left in told
    )


def test_since__never_measured__nothing() -> None:
    assert measured.since(segment().pk, NOW - MONTH, now=NOW) == []


def test_since__young__every_measurement() -> None:
    row = segment()
    told = [(NOW - HOUR, 5, 1, 0), (NOW - HOUR / 2, 7, 2, 0), (NOW, 6, 0, 1)]
    sizes(row, *told)

    assert measured.since(row.pk, NOW - MONTH, now=NOW) == [Measured(*one) for one in told]


def test_since__a_month__fewer_points_with_the_last_size_and_all_moves() -> None:
    row = segment()
    sizes(row, *((NOW - hours * HOUR, 1000 - hours, 2, 1) for hours in range(24 * 30)))

    points = measured.since(row.pk, NOW - MONTH, now=NOW)

    assert len(points) <= 181
    assert points[-1].at == NOW
    assert points[-1].members == 1000
    assert sum(one.entered for one in points) == 2 * 24 * 30
    assert [one.at for one in points] == sorted(one.at for one in points)


def test_since__what_lies_before_the_window_or_after_now__is_left_out() -> None:
    row = segment()
    sizes(row, (NOW - MONTH, 1, 0, 0), (NOW - HOUR, 2, 0, 0), (NOW + HOUR, 3, 0, 0))

    assert [one.members for one in measured.since(row.pk, NOW - MONTH, now=NOW)] == [2]


def test_trends__of_several__a_point_a_day_in_one_query(django_assert_num_queries: Any) -> None:
    one, two = segment("one"), segment("two")
    sizes(one, *((NOW - hours * HOUR, hours, 0, 0) for hours in range(36)))
    sizes(two, (NOW, 4, 0, 0))

    with django_assert_num_queries(1):
        found = measured.trends([one.pk, two.pk], NOW - MONTH, now=NOW)

    assert [day.members for day in found[one.pk].days] == [13, 0]
    assert [day.members for day in found[two.pk].days] == [4]


def test_lines__a_large_segment__is_shown_as_last_measured(monkeypatch: Any) -> None:
    monkeypatch.setattr(lines, "COUNTED", 3)
    row = segment()
    version = row.versions.create(
        number=1, rule={}, status="published", generation=1, created_at=NOW, created_by="test"
    )
    Segment.objects.filter(pk=row.pk).update(published=version)
    sizes(row, (NOW - HOUR, 4, 0, 0))

    [listed] = listing.segments().filter(pk=row.pk)
    line = lines.lines_of([listed], now=NOW)[row.pk]

    assert (line.size, line.as_of) == (4, NOW - HOUR)
    assert line.spark is None


def test_lines__nothing_in_force__no_size() -> None:
    row = segment()

    line = lines.lines_of([*listing.segments().filter(pk=row.pk)], now=NOW)[row.pk]

    assert line.size is None
    assert line.states == ()
