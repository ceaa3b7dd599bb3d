"""Who is in, from the log to the table, the document and the answer; with and without workers."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from personalization.consent import services as consent
from personalization.customers import documents
from personalization.customers import serve as customers
from personalization.customers import services as people
from personalization.customers.models import Identity
from personalization.events.processor import replaying
from personalization.lib import clock
from personalization.ops import claims
from personalization.ops import serve as config
from personalization.ops import services as jobs
from segments import serve, services
from segments.live import backfilling, rules
from segments.models import Change, Segment, SegmentVersion, State
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.world import count, go_live, members, process, story, take_in, tick

pytestmark = pytest.mark.django_db(transaction=True)


def customer(kind: int = DEVICE, value: str = "a1") -> int:
    return Identity.objects.get(kind=kind, value=value, ended_at=None).customer_id


def decided(minute: float, value: str = "a1") -> list[str]:
    """What a decision reads of the customer at a moment."""
    read = customers.read(user_id=None, anonymous_id=value)
    assert read.document is not None
    now_us = clock.to_us(NOW + timedelta(minutes=minute))
    return [one.key for one in serve.members(read.document.parts, now_us=now_us)]


def test_membership__event_enters__time_leaves_with_no_event() -> None:
    go_live("fresh", count(days=1))
    put("m1", product_id="sku1")

    process(1)

    assert members("fresh") == [customer()]
    tick(1439)
    assert members("fresh") == [customer()]
    tick(1440)
    assert members("fresh") == []
    assert story("fresh") == [(True, "event", 0), (False, "time", 1440)]


def test_membership__no_worker_ran__a_decision_is_exact() -> None:
    go_live("fresh", count(days=1))
    go_live("lost", {"not": {"kind": "segment", "key": "fresh"}})
    put("m1", product_id="sku1")

    process(1)

    assert decided(1439.9) == ["fresh"]
    assert decided(1440) == ["lost"]


def test_membership__late_event__counts_by_its_own_time() -> None:
    go_live("twice", count(value=2, days=1))
    put("m1", product_id="sku1", minute=100)
    process(100)
    put("m2", product_id="sku1", minute=-1300)

    process(101)

    assert members("twice") == [customer()]
    tick(140)
    assert members("twice") == []


def test_membership__events_folded_twice_by_a_replay__nothing_changes() -> None:
    go_live("twice", count(value=2))
    put("m1", product_id="sku1")
    put("m2", product_id="sku1", minute=1)
    process(2)
    before = State.objects.get().verdicts, story("twice")

    with clock.frozen(NOW + timedelta(minutes=3)):
        replaying.replay()

    assert (State.objects.get().verdicts, story("twice")) == before


def test_membership__merge_and_unmerge__union_and_back() -> None:
    go_live("twice", count(value=2))
    put("m1", product_id="sku1")
    put("m2", who=(USER, "u1"), product_id="sku1", minute=1)
    process(2)
    assert members("twice") == []

    done = people.merge(customer(), customer(USER, "u1"), cause="staff", actor="test", now=NOW)
    process(3)
    assert members("twice") == [customer(USER, "u1")]
    people.unmerge(done.pk, actor="test", now=NOW)
    process(4)

    assert members("twice") == []
    assert [cause for _, cause, _ in story("twice")] == ["merge", "merge"]


def test_membership__consent_withdrawn_and_granted__out_and_in_by_what_was_allowed() -> None:
    go_live("fresh", count())
    go_live("quiet", count("Order Completed", op="eq", value=0))
    put("m1", product_id="sku1")
    process(1)
    assert members("fresh") == members("quiet") == [customer()]

    said = {"personalization": False}
    consent.record(
        identity=(DEVICE, "a1"), purposes=said, source="test", policy_version="1", now=NOW
    )
    process(2)
    assert members("fresh") == members("quiet") == []
    said = {"personalization": True}
    consent.record(
        identity=(DEVICE, "a1"),
        purposes=said,
        source="test",
        policy_version="1",
        now=NOW + timedelta(minutes=2),
    )
    process(3)

    assert members("fresh") == members("quiet") == [customer()]
    assert [cause for _, cause, _ in story("fresh")] == ["event", "consent", "consent"]


def test_membership__first_time_without_conditions__remembers_after_a_rebuild() -> None:
    window = {"type": "last", "seconds": 86_400}
    go_live("newcomers", {"kind": "first_time", "event": "Product Viewed", "window": window})
    put("m1", product_id="sku1")
    process(1)
    assert members("newcomers") == [customer()]
    put("m2", product_id="sku1", minute=-5000)

    process(2)

    assert members("newcomers") == []


def test_publish__edited_rule__members_change_at_once_and_roll_back() -> None:
    go_live("fans", count(value=1))
    for number, who in enumerate(("a1", "a1", "a2")):
        put(f"m{number}", who=(DEVICE, who), product_id="sku1", minute=number)
    process(5)
    both = sorted([customer(), customer(value="a2")])
    assert members("fans") == both

    services.save_draft(key="fans", rule=count(value=2), actor="test")
    services.start_shadow(key="fans", actor="test")
    with clock.frozen(NOW + timedelta(minutes=6)):
        take_in()
    assert members("fans") == both
    with clock.frozen(NOW + timedelta(minutes=7)):
        services.publish_segment(key="fans", actor="test")
    assert members("fans") == [customer()]
    with clock.frozen(NOW + timedelta(minutes=8)):
        services.roll_back(key="fans", actor="test")

    assert members("fans") == both
    told = Change.objects.filter(segment_id=Segment.objects.get(key="fans").pk, cause="publish")
    assert sorted(told.values_list("customer_id", "entered")) == [
        (customer(value="a2"), False),
        (customer(value="a2"), True),
    ]


def test_publish__segment_that_another_names__is_decided_anew() -> None:
    go_live("fans", count(value=1))
    go_live("others", {"not": {"kind": "segment", "key": "fans"}})
    put("m1", product_id="sku1")
    process(1)
    assert members("others") == []

    services.save_draft(key="fans", rule=count(value=2), actor="test")
    services.publish_segment(key="fans", actor="test")
    with clock.frozen(NOW + timedelta(minutes=2)):
        take_in()

    assert members("fans") == []
    assert members("others") == [customer()]


def test_backfill__killed_in_the_middle__goes_on_and_equals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(7):
        put(f"m{number}", who=(DEVICE, f"a{number}"), product_id="sku1")
    process(1)
    services.create_segment(key="all", values={}, rule=count(), actor="test")
    services.publish_segment(key="all", actor="test")
    monkeypatch.setattr(backfilling, "CHUNK", 2)
    real, calls = backfilling.redecide, []

    def dies(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(backfilling, "redecide", dies)
    with pytest.raises(KeyboardInterrupt), clock.frozen(NOW):
        backfilling.backfill()

    with clock.frozen(NOW + timedelta(seconds=1)):
        take_in()

    assert len(members("all")) == 7
    assert SegmentVersion.objects.get(segment__key="all").status == "published"


def test_backfill__another_process_at_it__left_alone() -> None:
    services.create_segment(key="all", values={}, rule=count(), actor="test")
    services.publish_segment(key="all", actor="test")
    config.reload()
    slot = f"generation {rules.live().generation}"
    jobs.start_run(kind=backfilling.RUN_KIND, slot=slot)
    held, over = threading.Event(), threading.Event()

    def work() -> None:
        with claims.alone(kind=backfilling.RUN_KIND, slot=slot) as mine:
            assert mine
            held.set()
            over.wait(60)
        connection.close()

    # a connection of its own, as another process has
    other = threading.Thread(target=work)
    other.start()
    assert held.wait(60)
    assert backfilling.backfill() == 0
    assert SegmentVersion.objects.get(segment__key="all").ready_at is None
    over.set()
    other.join()

    take_in()

    assert SegmentVersion.objects.get(segment__key="all").status == "published"


def test_spilled__more_events_than_are_remembered__counted_from_the_facts() -> None:
    go_live("hundreds", count(value=300, days=30))
    for number in range(299):
        put(f"m{number}", product_id="sku1", minute=number / 10)
    process(40)
    assert members("hundreds") == []
    put("last", product_id="sku1", minute=35)

    process(41)

    assert members("hundreds") == [customer()]
    tick(30 * 1440)
    assert members("hundreds") == []


def test_documents__verdicts__stand_in_the_document() -> None:
    go_live("fresh", count())
    put("m1", product_id="sku1")
    process(1)

    built = documents.build([customer()])

    assert b'"segments"' in built[customer()][2]
