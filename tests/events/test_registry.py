"""Event types, and rejected events that get a second chance."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.events import fates, registry
from personalization.events.errors import EventTypeInvalid
from personalization.events.models import Event, EventSchema, LoggedEvent, RejectedEvent
from personalization.lib import clock
from tests.events.calls import counts, post, viewed

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def levels(kind: str) -> EventSchema:
    """Describe an event type of the shop's own and publish it."""
    row, _ = EventSchema.objects.get_or_create(name="Level Reached")
    row.properties = {"level": {"type": kind}}
    registry.save_type(row, actor="test")
    return row


def test_save_type__wrong_description__names_every_fault() -> None:
    row = EventSchema(name="X", properties={"a": {"type": "text"}, "b": {"type": "id", "x": 1}})

    with pytest.raises(EventTypeInvalid) as caught:
        registry.save_type(row, actor="test")

    assert [fault.path for fault in caught.value.details] == ["properties.a", "properties.b.x"]


def test_save_type__the_name_of_another__is_a_fault() -> None:
    levels("number")

    with pytest.raises(EventTypeInvalid) as caught:
        registry.save_type(EventSchema(name="Level Reached"), actor="test")

    assert [fault.path for fault in caught.value.details] == ["name"]


@pytest.mark.parametrize("odd", [{"type": ["id"]}, {"type": {}}, {"type": "id", "or": [["a"]]}])
def test_save_type__lists_and_objects_for_names__are_faults(odd: object) -> None:
    with pytest.raises(EventTypeInvalid) as caught:
        registry.save_type(EventSchema(name="X", properties={"a": odd}), actor="test")

    assert caught.value.details[0].path.startswith("properties.a")


def test_delete_type__built_in__is_refused() -> None:
    with pytest.raises(EventTypeInvalid):
        registry.delete_type(EventSchema.objects.get(name="Product Viewed"), actor="test")


def test_replay__after_a_fix__accepts_once_and_as_of_then(browser: Client) -> None:
    levels("number")
    event = viewed(event="Level Reached", properties={"level": "seven"})
    del event["messageId"]
    with clock.frozen(NOW):
        assert counts(post(browser, "track", event)) == (0, 0, 0, 1)
    rejected = RejectedEvent.objects.get()
    assert registry.replay([rejected.pk], actor="t", now=NOW).still_rejected == 1
    levels("string")

    done = registry.replay([rejected.pk, rejected.pk], actor="t", now=NOW + timedelta(days=3))
    again = registry.replay([rejected.pk], actor="t", now=NOW + timedelta(days=4))

    assert (done.accepted, again.accepted) == (1, 0)
    assert Event.objects.get().received_at == NOW
    assert counts(post(browser, "track", event)) == (0, 1, 0, 0)


def test_replay__datetime_that_was_no_time__waits_until_the_type_takes_it(browser: Client) -> None:
    levels("datetime")
    event = viewed(event="Level Reached", properties={"level": "yesterday, perhaps"})
    with clock.frozen(NOW):
        assert counts(post(browser, "track", event)) == (0, 0, 0, 1)
    rejected = RejectedEvent.objects.get()
    levels("string")

    done = registry.replay([rejected.pk], actor="t", now=NOW)

    assert [fault["path"] for fault in rejected.problems] == ["properties.level"]
    assert done.accepted == 1


def test_forget_rejected__old__are_deleted(browser: Client) -> None:
    with clock.frozen(NOW):
        post(browser, "track", viewed(event=""))

    assert registry.forget_rejected(now=NOW + timedelta(days=29)) == 0
    assert registry.forget_rejected(now=NOW + timedelta(days=31)) == 1


def test_admin__event_type_added__is_audited_and_in_force(staff: Client, browser: Client) -> None:
    form = {"name": "Level Reached", "fact": "", "title": "", "properties": '{"n": {"type": "id"}}'}

    response = staff.post("/admin/events/eventschema/add/", form)

    assert response.status_code == 302, response.content
    assert AuditEvent.objects.filter(object_type="events.eventschema", actor="ada").exists()
    answer = post(browser, "track", viewed(event="Level Reached", properties={"n": True}))
    assert counts(answer) == (0, 0, 0, 1)


def test_admin__event_type_malformed__says_what_to_do(staff: Client) -> None:
    form = {"name": "X", "fact": "", "properties": '{"n": {"type": "text"}}'}

    response = staff.post("/admin/events/eventschema/add/", form)

    assert b"with one of: string, id" in response.content


def test_admin__replay_action__reports_both_counts(staff: Client, browser: Client) -> None:
    levels("number")
    post(browser, "track", viewed("m1", event="Level Reached", properties={"level": "x"}))
    post(browser, "track", viewed("m2", event=""))
    levels("string")
    chosen = list(RejectedEvent.objects.values_list("pk", flat=True))

    response = staff.post(
        "/admin/events/rejectedevent/",
        {"action": "replay", "_selected_action": chosen},
        follow=True,
    )

    assert b"1 replayed." in response.content
    assert b"1 still do not fit" in response.content
    [line] = AuditEvent.objects.filter(action="replay")
    assert line.object_id == str(RejectedEvent.objects.get(message_id="m1").pk)


def test_replay__cannot_be_told__is_not_done(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels("number")
    post(browser, "track", viewed(event="Level Reached", properties={"level": "seven"}))
    levels("string")

    def refuse(**_: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(registry, "audit", refuse)
    with pytest.raises(DatabaseError):
        registry.replay([RejectedEvent.objects.get().pk], actor="t", now=NOW)

    assert RejectedEvent.objects.get().replayed_at is None
    assert not Event.objects.exists()


def test_debugger__each_fate__is_shown_with_its_reason(staff: Client, browser: Client) -> None:
    post(browser, "track", viewed("m1"))
    post(browser, "track", viewed("m1"))
    post(browser, "track", viewed("m2"), **{"sec-gpc": "1"})
    post(browser, "track", viewed("m3", properties={"product_id": "a", "price": "1"}))
    fates.flush()

    page = staff.get("/admin/events/loggedevent/debugger/").content.decode()

    for word in ("accepted", "duplicate", "minimised", "without quotes", "m3"):
        assert word in page


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("fate=rejected", "m3", "m1"),
        ("fate=accepted", "m1", "m3"),
        ("fate=withheld", "m2", "m1"),
        ("name=Product+Added", "Nothing yet", "m1"),
        ("fate=nonsense&name=%00", "m1", "Nothing yet"),
    ],
)
def test_debugger__filtered__shows_only_those(
    staff: Client, browser: Client, query: str, shown: str, hidden: str
) -> None:
    post(browser, "track", viewed("m1"))
    post(browser, "track", viewed("m2"), **{"sec-gpc": "1"})
    post(browser, "track", viewed("m3", event=""))

    lines = staff.get(f"/admin/events/loggedevent/debugger/lines/?{query}").content.decode()

    assert shown in lines
    assert hidden not in lines


def test_debugger__stranger__is_sent_to_log_in(client: Client) -> None:
    assert client.get("/admin/events/loggedevent/debugger/").status_code == 302


@pytest.mark.parametrize("term", ["a1", "m1", "", "nobody"])
def test_admin__event_list__finds_by_id(staff: Client, browser: Client, term: str) -> None:
    post(browser, "track", viewed("m1"))

    response = staff.get("/admin/events/loggedevent/", {"q": term})

    assert response.status_code == 200
    assert (b"m1</" in response.content) == (term in {"a1", "m1", ""})


def test_admin__one_event__opens(staff: Client, browser: Client) -> None:
    post(browser, "track", viewed("m1"))

    response = staff.get(f"/admin/events/loggedevent/{LoggedEvent.objects.get().seq}/change/")

    assert b"sku1" in response.content
