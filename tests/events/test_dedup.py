"""The same messages again are no new rows, whatever the clocks of server and device say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.events.models import Event
from personalization.lib import clock
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db
FIRST = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
LATER = [timedelta(hours=1), timedelta(hours=25), timedelta(days=8), timedelta(days=60)]
# Device clocks: right, years behind, years ahead, before and after all belief, and none.
DEVICES = [
    "2026-03-01T23:59:58Z",
    "2019-06-01T00:00:00Z",
    "2033-01-31T23:59:59.999Z",
    "1970-01-01T00:00:00Z",
    "2099-01-01T00:00:00Z",
    "2026-03-02T00:30:00+02:00",
    None,
]


def sent(events: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    return {"batch": events, "sentAt": at.isoformat()}


def event(message_id: str | None, stamp: str | None) -> dict[str, Any]:
    made = viewed(message_id or "")
    if message_id is None:
        del made["messageId"]
    del made["timestamp"]
    return made | ({"timestamp": stamp} if stamp else {})


@pytest.mark.parametrize("later", LATER, ids=str)
def test_batch__resent_later__adds_no_row(browser: Client, later: timedelta) -> None:
    named = [event(f"m{index}", stamp) for index, stamp in enumerate(DEVICES)]
    unnamed = [event(None, stamp) for stamp in DEVICES if stamp]
    with clock.frozen(FIRST):
        first = post(browser, "batch", sent(named + unnamed, FIRST))
    before = Event.objects.count()

    with clock.frozen(FIRST + later):
        again = post(browser, "batch", sent(named + unnamed, FIRST + later))

    assert counts(first) == (13, 0, 0, 0)
    assert counts(again) == (0, 13, 0, 0)
    assert Event.objects.count() == before


@pytest.mark.parametrize("seconds", [-2, -1, 0, 1, 2])
def test_track__resent_around_midnight__adds_no_row(browser: Client, seconds: int) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    for at in (midnight - timedelta(seconds=1), midnight + timedelta(seconds=seconds)):
        with clock.frozen(at):
            post(browser, "track", event("m1", None) | {"sentAt": at.isoformat()})

    assert Event.objects.count() == 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    stamp=st.none() | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    skew=st.timedeltas(timedelta(days=-3000), timedelta(days=3000)),
    later=st.timedeltas(timedelta(0), timedelta(days=399)),
    named=st.booleans(),
)
def test_track__any_clock__one_row(
    browser: Client, stamp: str | None, skew: timedelta, later: timedelta, named: bool
) -> None:
    if stamp is None and not named:
        return  # neither id nor time: the contract counts it as undeduplicable
    Event.objects.all()._raw_delete("default")
    for at in (FIRST, FIRST + later):
        with clock.frozen(at):
            post(
                browser,
                "track",
                event("m1" if named else None, stamp) | {"sentAt": (at + skew).isoformat()},
            )

    assert Event.objects.count() == 1


def test_batch__same_message_twice_inside__counts_one_duplicate(browser: Client) -> None:
    assert counts(post(browser, "batch", {"batch": [viewed("m1"), viewed("m1")]})) == (1, 1, 0, 0)


def test_track__same_id_from_server__is_another_message(browser: Client, server: Client) -> None:
    post(browser, "track", viewed("m1"))

    assert counts(post(server, "track", viewed("m1"))) == (1, 0, 0, 0)


def test_track__neither_id_nor_time__is_marked(browser: Client) -> None:
    for _ in range(2):
        post(browser, "track", event(None, None))

    assert [row.flags & 32 for row in Event.objects.all()] == [32, 32]
