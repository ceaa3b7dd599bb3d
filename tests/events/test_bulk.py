"""Bulk loads: who the events belong to, whatever devices and users come with them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from personalization.customers.engine.ids import MAX_IDENTITIES
from personalization.customers.models import Customer, Identity, Merge
from personalization.events.bulk import BulkEvent, copy_events
from personalization.events.models import LoggedEvent

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def events(*people: tuple[str | None, str | None]) -> Iterator[BulkEvent]:
    for number, (user, device) in enumerate(people):
        yield BulkEvent(
            f"m-{user}-{device}-{number}",
            "Product Viewed",
            AT + timedelta(minutes=number),
            user_id=user,
            anonymous_id=device,
            properties={"product_id": "sku1"},
        )


def owner_of(kind: Identity.Kind, value: str) -> int:
    return Identity.objects.get(kind=kind, value=value, ended_at=None).customer_id


USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS


def test_load__new_devices_of_new_users__one_customer_each_and_no_merge() -> None:
    counts = copy_events(events(("u1", "d1"), ("u1", "d2"), ("u2", "d3"), (None, "d4")))

    assert counts.written == 4
    assert owner_of(USER, "u1") == owner_of(DEVICE, "d1") == owner_of(DEVICE, "d2")
    assert owner_of(USER, "u2") == owner_of(DEVICE, "d3")
    assert Customer.objects.count() == 3
    assert not Merge.objects.exists()


def test_load__a_device_with_a_past__is_absorbed_with_it() -> None:
    copy_events(events((None, "d1")))

    copy_events(events(("u1", "d1")))

    assert owner_of(USER, "u1") == owner_of(DEVICE, "d1")
    assert Merge.objects.get().cause == Merge.Cause.LOGIN


def test_load__one_device_with_two_users__goes_over_and_takes_no_past_along() -> None:
    copy_events(events(("u1", "d1")))
    copy_events(events(("u2", "d1")))

    assert owner_of(USER, "u1") != owner_of(USER, "u2") == owner_of(DEVICE, "d1")
    assert Identity.objects.filter(kind=DEVICE, value="d1").count() == 2


def test_load__two_users_on_a_new_device_in_one_chunk__both_have_their_own() -> None:
    copy_events(events(("u1", "d1"), ("u2", "d1"), ("u1", "d2")))

    assert owner_of(USER, "u1") == owner_of(DEVICE, "d2")
    assert owner_of(USER, "u1") != owner_of(USER, "u2")
    assert owner_of(DEVICE, "d1") in {owner_of(USER, "u1"), owner_of(USER, "u2")}


def test_load__more_devices_than_a_customer_may_have__the_rest_stand_for_themselves() -> None:
    many = [("u1", f"d{number:03}") for number in range(MAX_IDENTITIES + 5)]

    counts = copy_events(events(*many))

    assert counts.written == len(many)
    owner = owner_of(USER, "u1")
    assert Identity.objects.filter(customer_id=owner).count() == MAX_IDENTITIES
    assert Customer.objects.count() == 1 + 6


def test_load__a_known_user_gets_a_device__the_document_is_written_again() -> None:
    copy_events(events(("u1", None)))
    before = Customer.objects.get().version

    copy_events(events(("u1", "d1")))

    assert Customer.objects.get().version > before


def test_load__texts_that_mean_something_to_copy__are_stored_as_they_are() -> None:
    odd = 'tab\t line\n back\\slash \\N "quoted" \r'
    copy_events([BulkEvent(odd, odd, AT, anonymous_id="d1", properties={"name": odd, "x": "a\0b"})])

    row = LoggedEvent.objects.get()
    assert (row.message_id, row.name, row.properties) == (odd, odd, {"name": odd, "x": "ab"})
