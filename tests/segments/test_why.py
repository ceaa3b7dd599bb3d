"""Why, with tables: what decided, since when, until when; on the customer's page and in the API."""

from datetime import timedelta
from typing import Any

import pytest

from personalization.consent import services as consent
from personalization.customers import services as people
from personalization.customers.models import Customer, Trait
from personalization.lib import clock
from personalization.lib.registries import customer_details, personal_data
from segments import errors, lists, panels, services, why
from segments.models import Score, Segment, State
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.world import count, go_live, members, process, take_in
from tests.segments.people import ORDERED, VIEWED, customer, shop, viewers

pytestmark = pytest.mark.django_db(transaction=True)

WEEK = timedelta(days=7)


def told(value: str, key: str, *, minute: float = 5, kind: int = USER) -> why.Why:
    now = NOW + timedelta(minutes=minute)
    with clock.frozen(now):
        return why.why(customer(value, kind), key, now=now)


def test_why__member_by_a_count__figure_age_and_when_it_ends() -> None:
    viewers()

    found = told("u1", "viewers")

    assert (found.member, found.recorded, found.version, found.reason) == (True, True, 1, "")
    assert found.since == NOW + timedelta(minutes=1)
    # with the first of the two views
    assert found.turns_at == NOW + WEEK
    figure = found.root.figure
    assert figure is not None
    assert (figure.value, why.moment(figure.at)) == (2, NOW + timedelta(minutes=1))
    assert "Product Viewed" in found.root.sentence


def test_why__not_a_member__the_figure_says_what_is_missing() -> None:
    viewers()

    found = told("u2", "viewers")

    assert (found.member, found.recorded, found.since, found.turns_at) == (False, False, None, None)
    assert found.root.figure is not None
    assert found.root.figure.value == 1


def test_why__draft__is_explained_before_it_decides() -> None:
    shop()
    services.create_segment(key="viewers", values={}, rule=VIEWED, actor="test")

    found = told("u1", "viewers")

    assert (found.member, found.recorded, found.status) == (True, None, "draft")


def test_why__withdrawn_consent__no_member_whatever_the_rule_says() -> None:
    viewers()
    consent.record(
        identity=(USER, "u1"),
        purposes={"personalization": False},
        source="test",
        policy_version="1",
        now=NOW,
    )

    found = told("u1", "viewers")

    assert (found.member, found.reason, found.turns_at) == (False, "no_consent", None)


def test_why__facts_beside_events__value_and_since_when() -> None:
    Trait.objects.create(key="tier", title="Tier", type="string")
    put("t1", who=(USER, "u1"), traits={"tier": "gold"}, minute=2)
    shop()
    with clock.frozen(NOW + timedelta(minutes=3)):
        lists.upload_list(key="vips", title="VIPs", lines=["u1"], actor="test")
    take_in()
    Score.objects.create(customer_id=customer("u1"), key="churn", value=0.25, as_of=NOW)
    leaves: list[dict[str, Any]] = [
        {"kind": "profile", "key": "tier", "op": "eq", "value": "gold"},
        {"kind": "profile", "key": "consent.personalization", "op": "eq", "value": True},
        {"kind": "profile", "key": "last_seen", "op": "within_last", "value": 3600},
        {"kind": "list", "key": "vips"},
        {"kind": "segment", "key": "vips"},
        {"kind": "score", "key": "churn", "op": "lt", "value": 0.5},
        {"not": ORDERED},
    ]
    services.create_segment(key="all", values={}, rule={"and": leaves}, actor="test")

    found = told("u1", "all")

    assert found.holds
    parts = {part.path: part for _, part in found.root.walk() if part.figure is not None}
    shown = {
        path: (part.figure.value, why.moment(part.figure.at))
        for path, part in parts.items()
        if part.figure is not None
    }
    assert shown["and[0]"] == ("gold", NOW + timedelta(minutes=2))
    assert shown["and[1]"] == (True, None)
    assert shown["and[2]"][1] == NOW + timedelta(minutes=2)
    assert parts["and[2]"].turns_at == clock.to_us(NOW + timedelta(minutes=62))
    assert shown["and[3]"] == (True, NOW + timedelta(minutes=3))
    assert shown["and[4]"][0] is True
    assert shown["and[5]"] == (0.25, NOW)
    assert shown["and[6].not"] == (0, None)


def test_why__segment_without_a_version_in_force__holds_nobody() -> None:
    shop()
    services.create_segment(key="later", values={}, rule=VIEWED, actor="test")
    rule = {"kind": "segment", "key": "later"}
    services.create_segment(key="in-later", values={}, rule=rule, actor="test")

    assert not told("u1", "in-later").holds


def test_why__the_table_agrees__for_everybody() -> None:
    viewers()
    with clock.frozen(NOW + timedelta(minutes=4)):
        go_live("quiet", {"not": {"kind": "segment", "key": "viewers"}})

    for key in ("viewers", "quiet"):
        for value, kind in (("u1", USER), ("u2", USER), ("a1", DEVICE)):
            found = told(value, key, kind=kind)
            assert found.member is found.recorded is (customer(value, kind) in members(key))


def test_why__unknown_segment_or_version__is_refused() -> None:
    viewers()

    for key, number in (("nothing", None), ("viewers", 9)):
        with pytest.raises(errors.SegmentUnknown):
            why.why(customer("u1"), key, number=number, now=NOW)


def test_customer_for__every_kind_of_id__and_whom_a_merge_made() -> None:
    shop()
    user, device = customer("u1"), customer("a1", DEVICE)
    uuid = str(Customer.objects.get(pk=device).uuid)

    assert why.customer_for("u1") == user
    assert why.customer_for("a1") == why.customer_for(uuid) == why.customer_for(str(device))
    assert [why.customer_for(one) for one in ("nobody", "a\0b", "9" * 30)] == [None] * 3
    people.merge(device, user, cause="staff", actor="test", now=NOW)
    assert why.customer_for(uuid) == why.customer_for("a1") == user


def test_customer_detail__member__the_conditions_that_hold() -> None:
    viewers()
    with clock.frozen(NOW + timedelta(minutes=4)):
        go_live("either", {"or": [VIEWED, ORDERED]})

    with clock.frozen(NOW + timedelta(minutes=5)):
        found = customer_details["segments"](customer("u1"))

    by_key = {one["key"]: one for one in found}
    assert set(by_key) == {"viewers", "either"}
    assert [one["path"] for one in by_key["either"]["reasons"]] == ["or[0]"]
    assert by_key["viewers"]["turns_at"] == NOW + WEEK


def test_panel__all_segments_in_force__members_first_with_words() -> None:
    viewers()
    with clock.frozen(NOW + timedelta(minutes=4)):
        go_live("ordered", ORDERED)

    with clock.frozen(NOW + timedelta(minutes=5)):
        found = panels.customer_segments(customer("u1"))

    assert [(one["title"], one["member"]) for one in found["segments"]] == [
        ("viewers", True),
        ("ordered", False),
    ]
    [condition] = found["segments"][0]["conditions"]
    assert (condition["value"], condition["holds"], condition["group"]) == ("2", True, False)
    assert panels.customer_segments(None)["segments"] == []


def test_personal_data__exported_and_erased_of_one_customer_alone() -> None:
    viewers()
    with clock.frozen(NOW + timedelta(minutes=4)):
        lists.upload_list(key="vips", title="", lines=["u1", "u2"], actor="test")
        take_in()
    mine, part = customer("u1"), personal_data["segments"]

    held = part.export(mine)
    assert [one["segment"] for one in held["memberships"]] == ["viewers", "vips"]
    assert (held["facts"]["count"], held["lists"][0]["value"]) == (2, "u1")
    assert part.erase(mine) > 0
    assert part.erase(mine) == 0

    assert part.export(mine)["memberships"] == []
    assert part.export(customer("u2"))["facts"]["count"] == 1
    assert State.objects.filter(pk=customer("u2")).exists()


def test_panel__many_segments__a_bounded_number_of_queries(
    django_assert_max_num_queries: Any,
) -> None:
    viewers()
    for number in range(5):
        go_live(f"more-{number}", count(value=number + 1))
    process(4)

    with django_assert_max_num_queries(30):
        found = panels.customer_segments(customer("u1"))

    assert len(found["segments"]) == Segment.objects.exclude(published=None).count()
