"""Partitions are made ahead, filled and dropped, and no message is forgotten too early."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from personalization.events import bulk, partitions
from personalization.events.models import Event
from personalization.lib import clock
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _undo_ddl(db: None) -> None:
    """DDL is rolled back with the test's transaction; deferred checks must not hold it up."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def default_rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event_default")
        return int(cursor.fetchone()[0])


def test_maintain__new_log__makes_months_ahead() -> None:
    partitions.maintain(now=NOW)

    assert {date(2026, month, 1) for month in range(2, 7)} <= partitions.months()
    assert partitions.maintain(now=NOW).created == ()


def test_maintain__rows_in_default__move_unchanged(browser: Client) -> None:
    with clock.frozen(NOW):
        post(browser, "track", viewed(timestamp="2026-03-14T00:00:00Z"))
    before = Event.objects.values().get()

    partitions.maintain(now=NOW)

    assert default_rows() == 0
    assert Event.objects.values().get() == before
    with clock.frozen(NOW):
        again = post(browser, "track", viewed(timestamp="2026-03-14T00:00:00Z"))
    assert counts(again) == (0, 1, 0, 0)


def test_maintain__past_retention__drops_but_remembers_late_comers(browser: Client) -> None:
    partitions.maintain(now=NOW)
    with clock.frozen(NOW):
        post(browser, "track", viewed("old", timestamp="2026-03-14T00:00:00Z"))
    with clock.frozen(NOW + timedelta(days=60)):
        post(browser, "track", viewed("late", timestamp="2026-03-14T00:00:00Z"))
    later = datetime(2027, 5, 10, tzinfo=UTC)

    report = partitions.maintain(now=later)

    assert date(2026, 3, 1) in report.dropped
    assert list(Event.objects.values_list("message_id", flat=True)) == ["late"]
    assert default_rows() == 1
    with clock.frozen(later):
        again = post(browser, "track", viewed("late", timestamp="2026-03-14T00:00:00Z"))
    assert counts(again) == (0, 1, 0, 0)


def test_maintain__default_past_retention__is_emptied(browser: Client) -> None:
    with clock.frozen(NOW):
        post(browser, "track", viewed(timestamp="1999-01-01T00:00:00Z"))

    report = partitions.maintain(now=NOW + timedelta(days=401))

    assert report.deleted_from_default == 1


def test_command__prints_what_it_did() -> None:
    out = StringIO()
    with connection.cursor() as cursor:  # tests before may have left them
        cursor.execute("DROP TABLE IF EXISTS events_event_y2026m02, events_event_y2026m03")
    with clock.frozen(NOW):
        call_command("partitions", stdout=out)

    assert "created: 2026-02, 2026-03" in out.getvalue()


def history(count: int) -> Iterator[bulk.BulkEvent]:
    for number in range(count):
        yield bulk.BulkEvent(
            message_id=f"row-{number}\\\t",
            name="Product\nViewed\0",
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
            user_id=f"u{number % 7}" if number % 2 else None,
            anonymous_id=f"a{number % 7}",
            properties={"product_id": f"s{number}", "note": 'tab\t"quote" \\ \0 ü'},
        )


def test_copy_events__history__is_written_once() -> None:
    seen: list[int] = []

    first = bulk.copy_events(history(2500), received_at=NOW, progress=lambda c: seen.append(c.read))
    again = bulk.copy_events(history(2500), received_at=NOW)

    assert (first.written, first.duplicates) == (2500, 0)
    assert (again.written, again.duplicates) == (0, 2500)
    assert seen == [2000, 2500]
    assert date(2026, 1, 1) in partitions.months()
    row = Event.objects.get(message_id="row-3\\\t")
    assert row.name == "Product\nViewed"
    assert row.properties["note"] == 'tab\t"quote" \\  ü'
    assert row.flags == 16
    assert row.device_id == "a3"
